"""The wire form of a link: many requests in one message, and their answers in another.

A message to the node is a MessagePack array of calls `[id, method, target, headers, body]`, one from it an
array of `AnswerPart`. Source: api.md §3.4.
"""

from collections.abc import Mapping, Sequence

import msgspec

from memory_spine.effects import Request

PATH = "/v1/link"
CALLS_MAX = 1024  # without an answer on one link; the node reads no further than that
UNDER_WAY_BYTES_MAX = 8 * 1024 * 1024  # nor beyond so many bytes of them
BODY_BYTES_MAX = 1024 * 1024  # a larger one takes a connection of its own
MESSAGE_BYTES_FULL = 256 * 1024  # nothing is added to a message that holds so much

_ARRAY = b"\xdd"  # with a length of four bytes


class AnswerPart(msgspec.Struct, array_like=True, frozen=True):
    """The answer to one call, or a further part of its body."""

    call: int
    status: int  # 0: a further part
    headers: dict[str, str]
    body: bytes
    more: bool = False  # parts follow


_encode = msgspec.msgpack.Encoder().encode
_answers = msgspec.msgpack.Decoder(list[AnswerPart])


def encoded_call(number: int, request: Request, common: Mapping[str, str]) -> bytes:
    """Return one request without the headers that the upgrade has given as well."""
    headers = dict(request.headers)
    for name, value in common.items():
        if headers.get(name) == value:
            del headers[name]
    if "Authorization" in common and "Authorization" not in request.headers:
        headers["Authorization"] = ""  # not that of the link
    target = request.url[len(request.base) :]
    return _encode((number, request.method, target, headers, request.body or b""))


def message_of(calls: Sequence[bytes]) -> bytes:
    """Return the message that holds these calls."""
    return b"".join((_ARRAY, len(calls).to_bytes(4), *calls))


def answers_in(data: bytes) -> list[AnswerPart]:
    """Decode a message of the node; an empty one asks to send no more.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _answers.decode(data)
