"""The hybrid logical clock: never behind what it has observed, never far ahead of the wall clock.

Safety needs only that `tick` grows; the physical clock, an argument in milliseconds since 1970,
keeps the values near real time. A timestamp from the far future is refused, or one bad clock would drag
every other with it.

Source: Kulkarni et al., "Logical Physical Clocks", OPODIS 2014.
"""

from spine_core.errors import ClockSkewError
from spine_core.records.versions import hlc_from_ms, ms_of
from spine_core.scalars import HLC_ZERO, Hlc

MAX_DRIFT_MS = 1000  # a timestamp further ahead of the local clock is refused
MAX_WRITE_MS = 5000  # a write is first applied within this time of its timestamp, or nowhere


class HybridClock:
    """The clock of one store. `last` is durable with each commit and seeds the next start."""

    __slots__ = ("last",)

    def __init__(self, last: Hlc = HLC_ZERO) -> None:
        self.last = last

    def tick(self, physical_ms: int) -> Hlc:
        """Issue a timestamp above all that were issued or observed; each is issued once."""
        self.last = Hlc(max(self.last + 1, hlc_from_ms(physical_ms)))
        return self.last

    def observe(self, t: Hlc, physical_ms: int) -> None:
        """Move the clock to at least the timestamp of a message, token or reply.

        Raises:
            ClockSkewError: `t` is more than MAX_DRIFT_MS ahead; the clock has not moved.
        """
        ahead_ms = ms_of(t) - physical_ms
        if ahead_ms > MAX_DRIFT_MS:
            raise ClockSkewError(ahead_ms)
        self.last = max(self.last, t)

    def peek(self, physical_ms: int) -> Hlc:
        """Return the present without issuing a timestamp."""
        return max(self.last, hlc_from_ms(physical_ms))
