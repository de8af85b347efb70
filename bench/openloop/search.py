"""Finds the highest rate whose reads stay below a bound: up in steps, then halves in between."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.openloop.schedule import Paced

READ_P99_MS = 12.0
STEP = 1.4
HALVES = 3
TRIES = 3


@dataclass(slots=True)
class Search:
    """Runs rates through `run` and keeps what it saw."""

    run: Callable[[float], Paced]
    tries: int = TRIES
    seen: list[Paced] = field(default_factory=list)

    def highest(self, first: float, most: float) -> float:
        """Return the highest rate that held; below the first if need be, 0 when none did."""
        good, bad, rate = 0.0, 0.0, first
        while rate <= most:
            if not self._holds(rate):
                bad = rate
                break
            good, rate = rate, rate * STEP
        for _ in range(HALVES if bad else 0):
            middle = (good + bad) / 2
            good, bad = (middle, bad) if self._holds(middle) else (good, middle)
        return good

    def _holds(self, rate: float) -> bool:
        """Whether one of some runs holds: a stall of a shared disk is no limit of the nodes."""
        for _ in range(self.tries):
            paced = self.run(rate)
            self.seen.append(paced)
            if paced.reads.p99 < READ_P99_MS and paced.errors == 0:
                return True
        return False
