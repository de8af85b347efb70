"""Requests and responses of the HTTP API, independent of what carries them.

A socket (`server`) and a caller in the same process (local mode) build the same `Request`.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec
from multidict import CIMultiDict, MultiMapping

from spine_core.errors import ProblemError

Stream = AsyncGenerator[bytes, None]
"""A body whose length nobody knows; whoever carries it closes it, at its end or before."""

ReadBody = Callable[[int, float], Awaitable[bytes]]
"""(bytes at most, deadline in loop time) → the whole body.

Raises:
    ProblemError: `too-large`, `deadline-exceeded` or `invalid-request`.
    ClientGoneError: nobody waits for the answer any more.
"""


class ClientGoneError(ConnectionError):
    """The client left while it sent its body."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request. The body is read late: first the caller must prove who it is."""

    method: str  # upper case
    path: str  # as sent: percent-encoded, without the query
    query: str = ""  # as sent, without the question mark
    headers: MultiMapping[str] = CIMultiDict()
    body: ReadBody
    remote: str = ""  # address of the peer, for the audit


class Response(msgspec.Struct, frozen=True):
    """One HTTP response; to HEAD the carrier sends all of it but the body."""

    status: int
    headers: dict[str, str]
    body: bytes | Stream = b""  # a stream if its route says so

    @property
    def content(self) -> bytes:
        """The body of an answer that is no stream."""
        assert isinstance(self.body, bytes), "its route streams"
        return self.body


def whole(body: bytes) -> ReadBody:
    """Return a reader of a body that is all there."""

    async def read(bytes_max: int, _deadline: float) -> bytes:
        if len(body) > bytes_max:
            raise too_large(bytes_max)
        return body

    return read


def too_large(bytes_max: int) -> ProblemError:
    """Return the refusal of a body beyond its limit."""
    return ProblemError("too-large", f"the body may have {bytes_max} bytes")
