"""The wire form of calls between nodes (protocol.md §16).

A message of calls is a list of `CallFrame`s: what was called on one peer in one turn of the event
loop. Calls of one method and epoch share a frame: its header is written, read and obeyed once for
all of them, and each has its own body and its own answer. A message of answers is one `ReplyFrame`.
Messages are cut where they grow large. Layouts of bodies: `methods`.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from spine_core.scalars import HLC_ZERO, Hlc

WIRE_VERSION = 3
MESSAGE_BYTES_MAX = 16 * 1024 * 1024  # a larger one ends the link; a single body stays far below
MESSAGE_BYTES_FULL = 1024 * 1024  # nothing is added to a message that holds so much

Body = msgspec.Raw
encoder = msgspec.msgpack.Encoder()
EMPTY = msgspec.Raw(msgspec.msgpack.encode(None))


class CallHeader(msgspec.Struct, array_like=True):
    """What the calls of one frame share."""

    method: str
    epoch: int  # of the caller
    hlc: Hlc  # the caller's clock when the frame leaves
    left_ms: int  # how long the most patient of the callers still waits


class CallFrame(msgspec.Struct, array_like=True):
    """One call or more; those behind the first are numbered on from it."""

    header: CallHeader
    first: int  # call id of the first body
    bodies: list[msgspec.Raw]


class CallReply(msgspec.Struct, array_like=True, frozen=True):
    """The answer to one call: a `ReplicaStatus`, and a body that depends on it."""

    call: int
    status: str
    body: msgspec.Raw


class ReplyFrame(msgspec.Struct, array_like=True, frozen=True):
    """Answers, in any order, and the clock of who gives them."""

    hlc: Hlc
    replies: list[CallReply]


_calls = msgspec.msgpack.Decoder(list[CallFrame])
_replies = msgspec.msgpack.Decoder(ReplyFrame)


class Outbox:
    """Calls that leave with the next message to a peer."""

    def __init__(self) -> None:
        self.bytes = 0  # of all bodies
        self._frames: list[CallFrame] = []
        self._last_bytes = 0  # of the bodies in the last frame

    def add(self, call: int, method: str, epoch: int, left_ms: int, body: Body) -> None:
        """Append a call; ids ascend by one."""
        size = len(body)
        self.bytes += size
        if self._frames and self._last_bytes < MESSAGE_BYTES_FULL:
            last = self._frames[-1]
            header = last.header
            if header.method == method and header.epoch == epoch:
                header.left_ms = max(header.left_ms, left_ms)
                last.bodies.append(body)
                self._last_bytes += size
                return
        self._frames.append(CallFrame(CallHeader(method, epoch, HLC_ZERO, left_ms), call, [body]))
        self._last_bytes = size

    def take(self, hlc: Hlc) -> list[CallFrame]:
        """Return all frames as they leave now, at a time no earlier than any timestamp within."""
        frames, self._frames, self.bytes = self._frames, [], 0
        for frame in frames:
            frame.header.hlc = hlc
        return frames


def ids_of(frames: Sequence[CallFrame]) -> set[int]:
    """Return the ids of all calls in frames."""
    return {id_ for frame in frames for id_ in range(frame.first, frame.first + len(frame.bodies))}


def call_messages(frames: Sequence[CallFrame]) -> Iterator[bytes]:
    """Encode frames, in order, as few messages as `MESSAGE_BYTES_FULL` allows."""
    sizes = [sum(map(len, frame.bodies)) for frame in frames]
    for begin, end in _cuts(sizes):
        yield encoder.encode(frames[begin:end])


def reply_messages(hlc: Hlc, replies: list[CallReply]) -> Iterator[bytes]:
    """Encode answers, in order, as few messages as `MESSAGE_BYTES_FULL` allows."""
    sizes = [len(reply.body) for reply in replies]
    for begin, end in _cuts(sizes):
        yield encoder.encode(ReplyFrame(hlc, replies[begin:end]))


def _cuts(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of the pieces in which things of these sizes are sent."""
    ends, size = [0], 0
    for end, of_this in enumerate(sizes, 1):
        size += of_this
        if size >= MESSAGE_BYTES_FULL or end == len(sizes):
            ends.append(end)
            size = 0
    return pairwise(ends)


def calls_in(data: bytes) -> list[CallFrame]:
    """Decode a message of calls.

    Raises:
        msgspec.DecodeError: it is none; the link is closed.
    """
    return _calls.decode(data)


def replies_in(data: bytes) -> ReplyFrame:
    """Decode a message of answers.

    Raises:
        msgspec.DecodeError: it is none; the link is closed.
    """
    return _replies.decode(data)


def only_call_in(data: bytes) -> tuple[CallHeader, Body]:
    """Decode a message that has one call, as greetings do.

    Raises:
        msgspec.DecodeError: it has none, or more.
    """
    frames = calls_in(data)
    if len(frames) != 1 or len(frames[0].bodies) != 1:
        raise msgspec.DecodeError("expected one call")
    return frames[0].header, frames[0].bodies[0]


def only_reply_in(data: bytes) -> CallReply:
    """Decode a message that has one answer, as greetings do.

    Raises:
        msgspec.DecodeError: it has none, or more.
    """
    replies = replies_in(data).replies
    if len(replies) != 1:
        raise msgspec.DecodeError(f"expected one answer, got {len(replies)}")
    return replies[0]
