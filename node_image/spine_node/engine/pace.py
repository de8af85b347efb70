"""A token bucket in bytes, shared by all pulls of a node."""

from spine_node.clock import Clock

BURST_S = 1.0  # how much of a second's bytes may go at once


class Pace:
    """Bounds the pulls of a node: `bytes_per_s`, and how many `slots` of a change at once."""

    def __init__(self, clock: Clock, *, bytes_per_s: int, slots: int) -> None:
        self._clock = clock
        self._credit = 0.0
        self._at = 0.0
        self.bytes_per_s, self.slots = bytes_per_s, slots

    @property
    def suspended(self) -> bool:
        """True when a change shall not pull; anti-entropy goes on."""
        return self.slots == 0

    async def spend(self, count: int) -> None:
        """Wait until `count` bytes may have been pulled. Debt is paid by whoever comes next."""
        now = self._clock.now()
        most = self.bytes_per_s * BURST_S
        self._credit = min(most, self._credit + (now - self._at) * self.bytes_per_s) - count
        self._at = now
        if self._credit < 0:
            await self._clock.sleep(-self._credit / self.bytes_per_s)
