"""Server-sent events are the same, wherever the network cuts them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_spine.event_stream import MESSAGE_BYTES_MAX, EventStream, Message

LINES = [
    "﻿: a comment",
    "id: c1",
    "event: put",
    'data: {"content": "naïve 🦉"}',
    "",
    ": keep-alive",
    "",
    "event:delete",
    "data:one",
    "data: two",
    "data:  three",
    "unknown: x",
    "retry: 5",
    "",
    "id: c2",
    "",
    "id: with\0nul",
    "event",
    "data",
    "",
    "event: lagging",
    "",
    "event: cut off",
]
MESSAGES = [
    Message(event="put", data='{"content": "naïve 🦉"}', id="c1"),
    Message(event="delete", data="one\ntwo\n three", id="c1"),
    Message(id="c2"),
    Message(id="c2"),
    Message(event="lagging", id="c2"),
]
ENDS = pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])


def _read(*chunks: bytes) -> list[Message]:
    stream = EventStream()
    return [message for chunk in chunks for message in stream.take(chunk)]


def _text(end: str) -> bytes:
    return end.join(LINES).encode()


@ENDS
def test_events_are_read_as_the_standard_says(end: str) -> None:
    assert _read(_text(end)) == MESSAGES


@ENDS
def test_a_cut_between_any_two_bytes_changes_nothing(end: str) -> None:
    text = _text(end)
    whole = _read(text)
    for cut in range(len(text) + 1):
        assert _read(text[:cut], text[cut:]) == whole
    assert _read(*(text[at : at + 1] for at in range(len(text)))) == whole


@given(
    lines=st.lists(st.sampled_from(["data: a", "data:", "id: 1", "event: x", ":", "", "é: é"])),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(0, 60)),
)
def test_no_cuts_change_what_is_read(lines: list[str], end: str, cuts: list[int]) -> None:
    text = "".join(line + end for line in lines).encode()
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    chunks = [text[begin:to] for begin, to in pairwise(places)]
    assert _read(*chunks) == _read(text)


def test_what_is_not_utf_8_is_replaced_and_not_an_error() -> None:
    [message] = _read(b"data: \xff\n\n")
    assert message.data == "\ufffd"


@pytest.mark.parametrize("line", [b"data: " + b"x" * 70_000 + b"\n", b"x" * 70_000])
def test_an_event_without_an_end_is_given_up(line: bytes) -> None:
    stream = EventStream()
    for _ in range(MESSAGE_BYTES_MAX // len(line)):
        stream.take(line)
    with pytest.raises(ValueError, match="an event of more than"):
        stream.take(line)
