"""Calls of one method share a frame, messages are cut where they grow large, and none is lost or reordered."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.scalars import HLC_ZERO, Hlc
from spine_node.links.frames import (
    MESSAGE_BYTES_FULL,
    MESSAGE_BYTES_MAX,
    CallFrame,
    CallReply,
    Outbox,
    call_messages,
    calls_in,
    ids_of,
    only_call_in,
    only_reply_in,
    replies_in,
    reply_messages,
)
from unit.links.harness import pack, unpack


def reply(call: int, size: int) -> CallReply:
    return CallReply(call, "ok", pack(bytes(size)))


def outbox_of(calls: list[tuple[str, int, int]]) -> Outbox:
    """Return an outbox of calls (method, epoch, size), numbered from 1."""
    outbox = Outbox()
    for call, (method, epoch, size) in enumerate(calls, 1):
        outbox.add(call, method, epoch, 100 + call, pack([call, bytes(size)]))
    return outbox


def sent(outbox: Outbox, hlc: int = 0) -> list[CallFrame]:
    """Return the frames that a peer receives."""
    return [frame for data in call_messages(outbox.take(Hlc(hlc))) for frame in calls_in(data)]


def test_a_call_survives_the_wire() -> None:
    outbox = Outbox()
    outbox.add(7, "put", 42, 250, pack([b"key", 3]))
    (frame,) = sent(outbox, hlc=99)
    assert (frame.first, frame.header.method, frame.header.epoch) == (7, "put", 42)
    assert (frame.header.hlc, frame.header.left_ms) == (99, 250)
    assert [unpack(body) for body in frame.bodies] == [[b"key", 3]]


def test_neighbours_of_one_method_and_epoch_share_a_frame_and_its_longest_time() -> None:
    calls = [("put", 4, 1), ("put", 4, 1), ("get", 4, 1), ("put", 4, 1), ("put", 5, 1)]
    frames = sent(outbox_of(calls))
    assert [(f.first, f.header.method, f.header.epoch) for f in frames] == [
        (1, "put", 4),
        (3, "get", 4),
        (4, "put", 4),
        (5, "put", 5),
    ]
    assert [f.header.left_ms for f in frames] == [102, 103, 104, 105]


def test_a_frame_leaves_with_the_time_of_its_departure() -> None:
    outbox = outbox_of([("put", 1, 1), ("get", 1, 1)])
    assert {frame.header.hlc for frame in sent(outbox, hlc=77)} == {77}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "get"]),
            st.integers(1, 2),
            st.sampled_from([0, 10, MESSAGE_BYTES_FULL // 3, MESSAGE_BYTES_FULL]),
        ),
        max_size=12,
    )
)
def test_every_call_arrives_once_in_order_with_its_own_body(
    calls: list[tuple[str, int, int]],
) -> None:
    outbox = outbox_of(calls)
    assert (outbox.bytes > 0) == bool(calls)
    messages = list(call_messages(outbox.take(HLC_ZERO)))
    assert outbox.bytes == 0
    assert all(len(data) < MESSAGE_BYTES_MAX for data in messages)
    frames = [frame for data in messages for frame in calls_in(data)]
    arrived = [
        (frame.first + at, frame.header.method, frame.header.epoch, unpack(body)[0])
        for frame in frames
        for at, body in enumerate(frame.bodies)
    ]
    assert arrived == [(n, m, e, n) for n, (m, e, _) in enumerate(calls, 1)]
    assert ids_of(frames) == set(range(1, len(calls) + 1))


@given(st.lists(st.integers(0, MESSAGE_BYTES_FULL), max_size=8))
def test_every_answer_arrives_once_in_order(sizes: list[int]) -> None:
    messages = list(reply_messages(Hlc(5), [reply(call, size) for call, size in enumerate(sizes)]))
    assert all(len(data) < MESSAGE_BYTES_MAX for data in messages)
    frames = [replies_in(data) for data in messages]
    assert [one.call for frame in frames for one in frame.replies] == list(range(len(sizes)))
    assert all(frame.hlc == 5 for frame in frames)


def test_what_is_small_shares_one_message() -> None:
    assert len(list(reply_messages(HLC_ZERO, [reply(call, 100) for call in range(1000)]))) == 1


def test_sixty_four_full_pages_leave_as_several_messages() -> None:
    pages = [reply(call, MESSAGE_BYTES_FULL) for call in range(64)]
    assert len(list(reply_messages(HLC_ZERO, pages))) == 64


def test_large_bodies_of_one_method_leave_as_several_messages() -> None:
    outbox = outbox_of([("put", 1, MESSAGE_BYTES_FULL)] * 8)
    assert len(list(call_messages(outbox.take(HLC_ZERO)))) == 8


@pytest.mark.parametrize("count", [0, 2])
def test_a_greeting_of_other_than_one_call_or_answer_is_none(count: int) -> None:
    frame = CallFrame(outbox_of([("hello", 1, 1)]).take(HLC_ZERO)[0].header, 1, [pack(1)] * count)
    for data in (msgspec.msgpack.encode([frame]), msgspec.msgpack.encode([])):
        with pytest.raises(msgspec.DecodeError):
            only_call_in(data)
    with pytest.raises(msgspec.DecodeError):
        only_reply_in(msgspec.msgpack.encode([0, [reply(call, 1) for call in range(count)]]))


@pytest.mark.parametrize("data", [b"", b"\xc1", msgspec.msgpack.encode([[1, "put"]])])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        calls_in(data)
    with pytest.raises(msgspec.DecodeError):
        replies_in(data)
