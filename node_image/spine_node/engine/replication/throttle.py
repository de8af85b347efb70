"""A token bucket in bytes, shared by all pulls of a node."""

from spine_node.clock import Clock

BURST_S = 1.0  # how much of a second's bytes may go at once
RECHECK_S = 1.0  # how often a waiting pull looks whether the bound has changed
WAIT_MIN_S = 0.001  # a shorter wait may be none at all


class Throttle:
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
        """Wait until `count` bytes may have been pulled; at 0 bytes per second, until that changes."""
        self._credit = self._earned() - count
        while self._credit < 0:
            missing_s = -self._credit / max(1, self.bytes_per_s)
            await self._clock.sleep(min(max(missing_s, WAIT_MIN_S), RECHECK_S))
            self._credit = self._earned()

    def _earned(self) -> float:
        now, before = self._clock.now(), self._at
        self._at = now
        most = self.bytes_per_s * BURST_S
        return min(most, self._credit + (now - before) * self.bytes_per_s)
