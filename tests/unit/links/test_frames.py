"""Messages are cut where they grow large, and never lose or reorder a frame."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.scalars import Hlc
from spine_node.links.frames import (
    MESSAGE_BYTES_FULL,
    MESSAGE_BYTES_MAX,
    Reply,
    Request,
    messages,
    only,
    pack,
    replies_in,
    requests_in,
    unpack,
)


def reply(call: int, size: int) -> Reply:
    return Reply(call, "ok", Hlc(0), pack(bytes(size)))


def test_a_request_survives_the_wire() -> None:
    sent = Request(7, "put", 42, Hlc(99), 250, pack([b"key", 3]))
    (data,) = messages([sent])
    (received,) = requests_in(data)
    assert (received.call, received.method, received.epoch) == (7, "put", 42)
    assert (received.hlc, received.left_ms) == (99, 250)
    assert unpack(received.body) == [b"key", 3]


@given(st.lists(st.integers(0, MESSAGE_BYTES_FULL), max_size=8))
def test_no_message_of_many_frames_ends_the_link(sizes: list[int]) -> None:
    frames = [reply(call, size) for call, size in enumerate(sizes)]
    sent = list(messages(frames))
    assert all(len(data) < MESSAGE_BYTES_MAX for data in sent)
    assert [r.call for data in sent for r in replies_in(data)] == list(range(len(sizes)))


def test_what_is_small_shares_one_message() -> None:
    assert len(list(messages([reply(call, 100) for call in range(1000)]))) == 1


def test_sixty_four_full_pages_leave_as_several_messages() -> None:
    assert len(list(messages([reply(call, MESSAGE_BYTES_FULL) for call in range(64)]))) == 64


@pytest.mark.parametrize("count", [0, 2])
def test_a_greeting_of_other_than_one_frame_is_none(count: int) -> None:
    with pytest.raises(msgspec.DecodeError):
        only([reply(call, 1) for call in range(count)])


@pytest.mark.parametrize("data", [b"", b"\xc1", msgspec.msgpack.encode([[1, "put"]])])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        requests_in(data)
