"""The consistent-hash ring: which seats hold a slot.

Each seat stands at 150 points of a circle of 2^64, so that a new seat takes its share from all
others. Placement is read off once per epoch; it is computed, never stored or sent. With unchanged
zone caps, one seat more or less moves at most one replica of a slot.

Source: Karger et al., "Consistent Hashing and Random Trees", STOC 1997.
"""

from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from typing import Literal

from sortedcontainers import SortedDict

from spine_core.scalars import Slot

Seat = str
Zone = str
ZonePolicy = Literal["strict", "balanced", "none"]

VIRTUAL_NODES = 150  # points per seat; bytes per store then differ by a few percent
_CIRCLE = 1 << 64


class Ring:
    """The points of all seats on the circle of hashes.

    Args:
        seats: seat → zone; not empty.
        virtual_nodes: points of each seat.
        slots: key ranges on the whole circle.
    """

    def __init__(
        self, seats: Mapping[Seat, Zone], *, virtual_nodes: int = VIRTUAL_NODES, slots: int = 4096
    ) -> None:
        assert seats, "a ring has a seat"
        self._zones = dict(seats)
        self._members = Counter(self._zones.values())
        self._ring: SortedDict[int, Seat] = SortedDict(
            # In order of names, so that even colliding points have one owner everywhere.
            (_point(seat, i), seat)
            for seat in sorted(seats)
            for i in range(virtual_nodes)
        )
        self._clockwise: tuple[Seat, ...] = tuple(self._ring.values())
        self._slot_width = _CIRCLE // slots

    def get_node(self, slot: Slot) -> Seat:
        """Return the first seat clockwise of the slot."""
        return self._clockwise[self._start(slot)]

    def get_replica_nodes(
        self, slot: Slot, *, factor: int, zone_policy: ZonePolicy
    ) -> tuple[Seat, ...]:
        """Return the seats of a slot's replicas, in the order of the walk.

        The walk takes a seat when it is new and its zone is below its cap. It ends with fewer than
        `factor` seats only if the caps of the zones are too low; guards refuse such a spec.
        """
        free = self.zone_caps(factor, zone_policy)
        points = len(self._clockwise)
        start = self._start(slot)
        taken: list[Seat] = []
        for step in range(points):
            seat = self._clockwise[(start + step) % points]
            zone = self._zones[seat]
            if seat in taken or not free[zone]:
                continue
            taken.append(seat)
            free[zone] -= 1
            if len(taken) == factor:
                break
        return tuple(taken)

    def zone_caps(self, factor: int, zone_policy: ZonePolicy) -> dict[Zone, int]:
        """Return zone → the most replicas of one slot that it may hold."""
        match zone_policy:
            case "strict":
                return dict.fromkeys(self._members, _ceil_div(factor, len(self._members)))
            case "balanced":
                nodes = len(self._zones)
                return {zone: _ceil_div(factor * n, nodes) for zone, n in self._members.items()}
            case "none":
                return dict.fromkeys(self._members, factor)

    def _start(self, slot: Slot) -> int:
        index: int = self._ring.bisect_right(slot * self._slot_width)
        return index % len(self._clockwise)


def _point(seat: Seat, i: int) -> int:
    return int.from_bytes(sha256(f"{seat}:{i}".encode()).digest()[:8], "big")


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)
