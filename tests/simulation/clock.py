"""The clock of one machine of the simulation: its wall clock may jump, drift and stand still; its chance is seeded."""

import asyncio
from random import Random

from spine_node.clock import Clock

BEGIN_MS = 1_700_000_000_000


class MachineClock(Clock):
    """Virtual seconds; `offset_ms` is how far the wall clock was set off, beside what it drifts."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.offset_ms = 0
        self._rate = 1.0  # of the wall clock
        self._since_s = self._drifted_s = (
            0.0  # when it began to run so, and how far off it was then
        )

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def physical_ms(self) -> int:
        return BEGIN_MS + int((self.now() + self._drift_s()) * 1000) + self.offset_ms

    def run_at(self, rate: float) -> None:
        """Let the wall clock run faster or slower from now on; 0 lets it stand still."""
        self._drifted_s, self._since_s, self._rate = self._drift_s(), self.now(), rate

    def correct(self) -> None:
        """Be right again, as after a step of NTP."""
        self.offset_ms, self._drifted_s, self._rate = 0, 0.0, 1.0

    def _drift_s(self) -> float:
        return self._drifted_s + (self.now() - self._since_s) * (self._rate - 1)

    def jittered(self, seconds: float) -> float:
        return seconds * self._random.uniform(0.8, 1.2)

    def entropy(self, count: int) -> bytes:
        return self._random.randbytes(count)
