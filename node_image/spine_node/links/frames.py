"""The wire form of calls between nodes (protocol.md §16).

A message is a msgpack list of frames: what was sent to one peer in one turn of the event loop, cut
where a message grows large. A request is `[call id, method, epoch, hlc, time left in ms, body]`, a reply `[call id, status, hlc,
body]`. Bodies are lists too, one layout per method, stated where the method is served.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from spine_core.scalars import Hlc

WIRE_VERSION = 1
MESSAGE_BYTES_MAX = 16 * 1024 * 1024  # a larger one ends the link; a single body stays far below
MESSAGE_BYTES_FULL = 1024 * 1024  # no frame is added to a message that holds so much

Body = msgspec.Raw
encoder = msgspec.msgpack.Encoder()


class Request(msgspec.Struct, array_like=True, frozen=True):
    """One call. `epoch` is the sender's, `hlc` its clock, `left_ms` the time it still waits."""

    call: int
    method: str
    epoch: int
    hlc: Hlc
    left_ms: int
    body: msgspec.Raw


class Reply(msgspec.Struct, array_like=True, frozen=True):
    """The answer to a call: a `ReplicaStatus` as status, and a body that depends on it."""

    call: int
    status: str
    hlc: Hlc
    body: msgspec.Raw


Frame = TypeVar("Frame", Request, Reply)

_requests = msgspec.msgpack.Decoder(list[Request])
_replies = msgspec.msgpack.Decoder(list[Reply])
_any = msgspec.msgpack.Decoder()
EMPTY = msgspec.Raw(msgspec.msgpack.encode(None))


def pack(value: Any) -> msgspec.Raw:
    """Encode a body once, for as many peers as it goes to."""
    return msgspec.Raw(encoder.encode(value))


def unpack(body: msgspec.Raw) -> Any:
    """Decode a body whose layout the method states."""
    return _any.decode(body)


def messages(frames: Sequence[Frame]) -> Iterator[bytes]:
    """Encode frames, in order, as few messages as `MESSAGE_BYTES_FULL` allows."""
    batch: list[Frame] = []
    size = 0
    for frame in frames:
        batch.append(frame)
        size += len(frame.body)
        if size >= MESSAGE_BYTES_FULL:
            yield encoder.encode(batch)
            batch, size = [], 0
    if batch:
        yield encoder.encode(batch)


def only(frames: Sequence[Frame]) -> Frame:
    """Return the frame of a message that has one, as greetings do.

    Raises:
        msgspec.DecodeError: it has none, or more.
    """
    if len(frames) != 1:
        raise msgspec.DecodeError(f"expected one frame, got {len(frames)}")
    return frames[0]


def requests_in(data: bytes) -> list[Request]:
    """Decode a message of requests.

    Raises:
        msgspec.DecodeError: it is none; the link is closed.
    """
    return _requests.decode(data)


def replies_in(data: bytes) -> list[Reply]:
    """Decode a message of replies.

    Raises:
        msgspec.DecodeError: it is none; the link is closed.
    """
    return _replies.decode(data)
