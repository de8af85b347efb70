"""The effects of an operation: send this request, or sleep. The operation does neither itself.

Every operation of the client is a generator of type `Operation`: it yields `Request` (and is sent the
`Answer`, or is thrown `ConnectionFailed`) or `Sleep`, and returns a value. The two drivers, one that
blocks and one that awaits, are the only code that acts. A test drives an operation with a list of answers.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeAlias, TypeVar

from memory_spine.errors import SpineError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One attempt at one URL."""

    method: str
    url: str  # absolute and already escaped; a transport must not normalise it
    headers: Mapping[str, str] = field(repr=False)  # they hold the key
    body: bytes | None = field(default=None, repr=False)
    timeout_s: float  # a transport gives up after this long


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait before the next attempt."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Done(Generic[Result]):
    """The operation has ended with this value."""

    value: Result


Operation: TypeAlias = Generator[Request | Sleep, Answer | None, Result]


def resume(
    operation: Operation[Result], outcome: Answer | SpineError | None
) -> Request | Sleep | Done[Result]:
    """Tell an operation what happened (None: it begins, or has slept); return what it wants now."""
    try:
        return (
            operation.throw(outcome) if isinstance(outcome, SpineError) else operation.send(outcome)
        )
    except StopIteration as end:
        return Done(end.value)


class Transport(Protocol):
    """Carries requests of `Spine`. Threads share it."""

    def send(self, request: Request) -> Answer:
        """Return the answer of any status; follow no redirect and retry nothing.

        Raises:
            ConnectionFailed: no whole answer came within `request.timeout_s`.
        """

    def close(self) -> None:
        """Give up the connections. May be called twice."""


class AsyncTransport(Protocol):
    """Carries requests of `AsyncSpine`. Tasks of one event loop share it."""

    async def send(self, request: Request) -> Answer:
        """Return the answer of any status; follow no redirect and retry nothing.

        Raises:
            ConnectionFailed: no whole answer came within `request.timeout_s`.
        """

    async def close(self) -> None:
        """Give up the connections. May be called twice."""
