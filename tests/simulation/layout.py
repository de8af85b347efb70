"""How a simulated cluster spreads its records."""

from dataclasses import dataclass

SLOTS = 64
DROP_AFTER_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a cluster spreads its records."""

    factor: int
    write_quorum: int
    read_quorum: int = 1
    slots: int = SLOTS
    zones: int = 0  # strict ones; 0: no zones
    drop_after_s: float = DROP_AFTER_S

    def zone_of(self, seat: str) -> str:
        """Return the zone of a seat: every so many seats of the alphabet lie in the same."""
        return f"zone-{ord(seat[0]) % self.zones}" if self.zones else seat


def majority_of(factor: int) -> Layout:
    """Return the layout whose write quorum is the smallest that there is."""
    return Layout(factor=factor, write_quorum=factor // 2 + 1)
