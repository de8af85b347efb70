"""The wire form of a client's link: many requests in one message, and their answers in another.

A message of the client is an array of calls, of the node an array of answers; an empty one asks the
client to send no more, since the node stops. All structs travel as MessagePack arrays, so that a field
can be added at the end. `memory_spine.link_frames` is the client's side of the same.

Source: api.md §3.4.
"""

from collections import deque
from typing import Annotated, Final

import msgspec

CALLS_MAX: Final = 1024  # of one message; and of one link at once, before the node reads no more
BODY_BYTES_MAX: Final = 1024 * 1024  # of one call; a larger body takes a connection of its own
MESSAGE_BYTES_MAX: Final = 2 * 1024 * 1024  # of the client; a larger one ends the link
PART_BYTES: Final = 256 * 1024  # of an answer in one message; what is larger comes in several
GO_AWAY: Final = msgspec.msgpack.encode([])


class Call(msgspec.Struct, array_like=True, frozen=True):
    """One request. What the upgrade has said in a header need not be said again."""

    id: int
    method: str
    target: str  # path and query, percent-encoded
    headers: dict[str, str]
    body: bytes


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """The answer to one call, or a further part of its body."""

    call: int
    status: int  # 0: a further part
    headers: dict[str, str]
    body: bytes | memoryview
    more: bool = False  # parts follow


_calls = msgspec.msgpack.Decoder(Annotated[list[Call], msgspec.Meta(max_length=CALLS_MAX)])
encode = msgspec.msgpack.Encoder().encode


def calls_in(data: bytes) -> list[Call]:
    """Decode a message of a client.

    Raises:
        msgspec.DecodeError: it is none.
    """
    calls: list[Call] = _calls.decode(data)
    return calls


def next_message(outbox: deque[Answer]) -> list[Answer]:
    """Take what one message holds. Of a large answer it takes a part, and the rest waits behind the others."""
    taken: list[Answer] = []
    left = PART_BYTES
    while outbox and left > 0:
        answer = outbox.popleft()
        if len(answer.body) > PART_BYTES:
            whole = memoryview(answer.body)
            outbox.append(Answer(answer.call, 0, {}, whole[PART_BYTES:], answer.more))
            answer = Answer(answer.call, answer.status, answer.headers, whole[:PART_BYTES], True)
        taken.append(answer)
        left -= len(answer.body)
    return taken
