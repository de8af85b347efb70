"""The clock of one machine of the simulation: its wall clock may jump, its chance is seeded."""

import asyncio
from random import Random

from spine_node.clock import Clock

BEGIN_MS = 1_700_000_000_000


class MachineClock(Clock):
    """Virtual seconds; `offset_ms` is how far the wall clock is off."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.offset_ms = 0

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def physical_ms(self) -> int:
        return BEGIN_MS + int(self.now() * 1000) + self.offset_ms

    def jittered(self, seconds: float) -> float:
        return seconds * self._random.uniform(0.8, 1.2)

    def entropy(self, count: int) -> bytes:
        return self._random.randbytes(count)
