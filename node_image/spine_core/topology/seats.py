"""Seats: which ones a number of nodes takes in its zones, and which leave first. Pure.

Nodes go round the zones in their order, so the same number always means the same seats: scaling up
and down again ends where it began.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import cycle, islice

from spine_core import defaults
from spine_core.errors import InvalidInputError
from spine_core.scalars import Slot
from spine_core.topology.ring import Ring, Seat, Zone, ZonePolicy

_ORDINAL = re.compile(r"(\d+)$")


def seat_name(name: str, zone: Zone, ordinal: int) -> Seat:
    """Return the name of a seat, which is that of its pod."""
    return f"{name}-{zone}-{ordinal}"


def ordinal_of(seat: Seat) -> int:
    """Return the number at the end of a seat's name, -1 when there is none."""
    found = _ORDINAL.search(seat)
    return int(found[1]) if found else -1


def wanted_seats(
    name: str,
    zones: Sequence[Zone],
    replicas: int,
    *,
    counts: Mapping[Zone, int] | None = None,
    draining: AbstractSet[Zone] = frozenset(),
) -> tuple[tuple[Seat, Zone], ...]:
    """Return the (seat, zone) pairs that a spec asks for, in the order in which they join.

    Each node goes to the zone with the fewest, of several the one listed first.

    Args:
        name: name of the cluster.
        zones: in the order of the spec; none means one zone called `default`.
        replicas: number of nodes; ignored where `counts` are given.
        counts: zone → its number of nodes, for specs that say so zone by zone.
        draining: zones that have to become empty.

    Raises:
        InvalidInputError: nodes are wanted and every zone is draining.
    """
    listed = [zone for zone in zones or (defaults.ZONE,) if zone not in draining]
    if not listed and replicas:
        raise InvalidInputError("every zone is draining", path="topology.zones")
    if counts is None:
        counts = Counter(islice(cycle(listed), replicas))
    places = [(n, zone) for zone in listed for n in range(counts.get(zone, 0))]
    places.sort(key=lambda place: place[0])  # stable: inside a round the order of the spec
    return tuple((seat_name(name, zone, n), zone) for n, zone in places)


def leaving_order(
    seats: Mapping[Seat, Zone], leaving: AbstractSet[Seat], zones: Sequence[Zone]
) -> tuple[Seat, ...]:
    """Return the seats that have to leave, the first to go first.

    The zone with most nodes gives first, of several the one listed last; a zone that is not listed
    any more counts as listed after all others. Inside a zone the highest ordinal goes.
    """
    rank = {zone: place for place, zone in enumerate(zones)}
    nodes = Counter(seats.values())
    left, order = set(leaving), list[Seat]()
    while left:
        seat = max(
            left,
            key=lambda one: (
                nodes[seats[one]],
                rank.get(seats[one], len(rank)),
                seats[one],
                ordinal_of(one),
                one,
            ),
        )
        nodes[seats[seat]] -= 1
        left.remove(seat)
        order.append(seat)
    return tuple(order)


def placeable(seats: Mapping[Seat, Zone], *, factor: int, zone_policy: ZonePolicy) -> bool:
    """Whether the zones can hold `factor` replicas of a slot.

    One slot tells: the caps are a matroid, so every walk ends with equally many.
    """
    if not seats:
        return False
    ring = Ring(seats, virtual_nodes=1)
    return len(ring.get_replica_nodes(Slot(0), factor=factor, zone_policy=zone_policy)) == factor
