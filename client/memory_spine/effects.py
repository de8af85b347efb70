"""The effects of an operation: send this request, or sleep. The operation does neither itself.

Every operation of the client is a generator of type `Operation`: it yields `Request` (and is sent the
`Answer`, or is thrown `ConnectionFailed`), `Open` (and is sent a `Stream`) or `Sleep`, and returns a
value. The two drivers, one that blocks and one that awaits, are the only code that acts. A test drives
an operation with a list of answers.

What comes in parts leaves the generators: an operation returns the opened `Stream`, and its driver's
loop hands each chunk to pure code. Then no operation has to be told apart as sync or async.
"""

import re
from collections.abc import AsyncGenerator, Generator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import msgspec

from memory_spine.errors import ConnectionFailed, SpineError

Result = TypeVar("Result")
Parts: TypeAlias = Generator[bytes, None, None]  # closing it gives up the connection
AsyncParts: TypeAlias = AsyncGenerator[bytes, None]
Chunks = TypeVar("Chunks", bound=Parts | AsyncParts)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at one URL."""

    method: str
    url: str  # absolute and already escaped; a transport must not normalise it
    base: str = ""  # address of the node, with which `url` begins; empty when it is not known
    headers: Mapping[str, str]  # they hold the key
    body: bytes | None = None
    timeout_s: float  # a transport gives up after this long, however much has come
    first_byte_s: float | None = None  # and after this long without any answer; None: timeout_s

    def __repr__(self) -> str:
        return f"Request({self.method} {self.url})"  # headers and body are secrets


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)  # names in lower case
    body: bytes = b""
    with_others: bool = False  # more answers came at the same moment, and are about to be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream(Generic[Chunks]):
    """An answer that comes in parts.

    The iterator ends with the answer, raises `ConnectionFailed` when nothing came for the request's
    `timeout_s`, and gives up the connection when it is closed.
    """

    status: int
    headers: Mapping[str, str]  # names in lower case
    chunks: Chunks


@dataclass(frozen=True, slots=True)
class Open:
    """Send this request and take its answer in parts; an answer that is no success comes whole."""

    request: Request


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait before the next attempt, or for something else that this client does."""

    seconds: float
    until: Future[None] | None = None  # wakes earlier


class Done(msgspec.Struct, Generic[Result], frozen=True):
    """The operation has ended with this value."""

    value: Result


Effect: TypeAlias = Request | Open | Sleep
Outcome: TypeAlias = Answer | Stream[Any]  # of a request, of an opened stream
Operation: TypeAlias = Generator[Effect, Outcome | None, Result]


def resume(
    operation: Operation[Result], outcome: Outcome | SpineError | None
) -> Effect | Done[Result]:
    """Tell an operation what happened (None: it begins, or has slept); return what it wants now."""
    try:
        if isinstance(outcome, SpineError):
            return operation.throw(outcome)
        return operation.send(outcome)
    except StopIteration as end:
        return Done(end.value)


class Transport(Protocol):
    """Carries requests of `Spine`. Threads share it."""

    def send(self, request: Request) -> Answer:
        """Return the answer of any status; follow no redirect and retry nothing.

        Raises:
            ConnectionFailed: no whole answer came in the request's time.
        """

    def open(self, request: Request) -> Answer | Stream[Parts]:
        """Return a success as a stream, any other status as a whole answer.

        Raises:
            ConnectionFailed: no answer began in the request's time.
        """

    def close(self) -> None:
        """Give up the connections. May be called twice."""


class AsyncTransport(Protocol):
    """Carries requests of `AsyncSpine`. Tasks of one event loop share it."""

    async def send(self, request: Request) -> Answer:
        """Return the answer of any status; follow no redirect and retry nothing.

        Raises:
            ConnectionFailed: no whole answer came in the request's time.
        """

    async def open(self, request: Request) -> Answer | Stream[AsyncParts]:
        """Return a success as a stream, any other status as a whole answer.

        Raises:
            ConnectionFailed: no answer began in the request's time.
        """

    async def close(self) -> None:
        """Give up the connections. May be called twice."""


REQUEST_ID = "Spine-Request-Id"
REQUEST_ID_BYTES = 8
_ECHOED_ID = REQUEST_ID.lower()
_CLIENTS_ID = re.compile(rf"[0-9a-f]{{{2 * REQUEST_ID_BYTES}}}")  # those of nodes hold a dash


def mismatch(request: Request, outcome: Outcome) -> ConnectionFailed | None:
    """Return the failure that an answer to another request is; None when it is this one's.

    A node repeats the id that a request carries. Another id means that something else reads or
    writes the same connection: nothing of what came may be believed. Only a refusal may have an id
    that a node has made, since some are written before the request could be read.
    """
    sent = request.headers.get(REQUEST_ID, "")
    echoed = outcome.headers.get(_ECHOED_ID, sent)
    if echoed == sent:
        return None
    if outcome.status >= 400 and not _CLIENTS_ID.fullmatch(echoed):
        return None
    return ConnectionFailed(request.url, "the answer to another request came", sent=True)
