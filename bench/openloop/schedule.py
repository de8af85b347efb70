"""The constant schedule of an open loop, and what became of each operation on it.

Latency counts from the moment at which an operation was to be sent: a stall delays all that were
due meanwhile, and each of them says so. All latencies are kept, so quantiles are exact.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from bench.load.result import LoadResult

READS_OF_TEN = 8


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """Quantiles in ms, of one kind of operation."""

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    worst: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Latencies":
        """Sort them once."""
        times = sorted(seconds) or [0.0]
        at = [
            times[min(len(times) - 1, int(len(times) * q))] * 1e3 for q in (0.5, 0.9, 0.99, 0.999)
        ]
        return cls(
            count=len(seconds), p50=at[0], p90=at[1], p99=at[2], p999=at[3], worst=times[-1] * 1e3
        )


class Paced(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one run."""

    rate: float  # asked for
    sent: int
    writes_sent: int
    writes_acknowledged: int
    errors: int  # answers that were no success, and none at all
    late: int  # of the errors: without an answer when the run ended
    reads: Latencies
    writes: Latencies
    read_times_s: list[float] = []  # when asked for

    def written(self, seconds: float) -> LoadResult:
        """Return what was written in these seconds, for the count on the stores."""
        return LoadResult(
            acknowledged=self.writes_acknowledged,
            sent=self.writes_sent,
            errors=self.errors,
            seconds=seconds,
            p50_ms=self.writes.p50,
            p99_ms=self.writes.p99,
        )


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: when it is due, and what it is."""

    due: float  # seconds since the start
    number: int
    write: bool


class Sender(Protocol):
    """Sends an operation at once, or as soon as a connection is free, and tells `done` once."""

    def send(self, operation: Operation, done: Callable[[Operation, bool], None]) -> None:
        """Send it."""
        ...


@dataclass(slots=True)
class Schedule:
    """Hands out operations when they are due: eight reads, then two writes."""

    rate: float
    seconds: float
    clock: Callable[[], float]  # seconds since the start
    _next: int = 0
    _errors: int = 0
    _writes_sent: int = 0
    _open: dict[int, Operation] = field(default_factory=dict)
    _reads: list[float] = field(default_factory=list)
    _writes: list[float] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many operations there are in all."""
        return int(self.rate * self.seconds)

    @property
    def over(self) -> bool:
        """Whether all are sent and answered."""
        return self._next >= self.total and not self._open

    def send_due(self, sender: Sender) -> None:
        """Send what is due."""
        now = self.clock()
        while self._next < self.total and (due := self._next / self.rate) <= now:
            operation = Operation(due, self._next, self._next % 10 >= READS_OF_TEN)
            self._next += 1
            self._writes_sent += operation.write
            self._open[operation.number] = operation
            sender.send(operation, self._done)

    def _done(self, operation: Operation, good: bool) -> None:
        if self._open.pop(operation.number, None) is None:
            return
        self._errors += not good
        if good:
            times = self._writes if operation.write else self._reads
            times.append(self.clock() - operation.due)

    def result(self, *, keep: bool = False) -> Paced:
        """Close the books: what is still open failed, and took until now. `keep`: with all times."""
        now, late = self.clock(), len(self._open)
        acknowledged = len(self._writes)
        for operation in self._open.values():
            times = self._writes if operation.write else self._reads
            times.append(now - operation.due)
        return Paced(
            rate=self.rate,
            sent=self._next,
            writes_sent=self._writes_sent,
            writes_acknowledged=acknowledged,
            errors=self._errors + late,
            late=late,
            reads=Latencies.of(self._reads),
            writes=Latencies.of(self._writes),
            read_times_s=self._reads if keep else [],
        )
