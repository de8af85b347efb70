"""The sources that a store pulls a gained slot from (R4). Pure.

The store that is displaced holds everything it acknowledged; if it is gone, RF - W + 1 others of
the old replicas meet every write quorum of theirs. Fewer, or any other choice, loses acknowledged
writes: tests/models/test_epoch.py finds one.
"""

from collections.abc import Set as AbstractSet

from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.placement import Placement


def displaced_by(placement: Placement, slot: Slot, store: StoreNumber) -> StoreNumber:
    """Return the old replica whose place a new one takes: lost and gained ones, paired in order.

    Both sides have RF stores, so the pairs come out even.
    """
    old, new = set(placement.current(slot)), set(placement.target(slot))
    return sorted(old - new)[sorted(new - old).index(store)]


def sources_of(
    placement: Placement, slot: Slot, store: StoreNumber, live: AbstractSet[StoreNumber]
) -> tuple[StoreNumber, ...] | None:
    """Pull sources (R4): return the stores that a gained slot must be pulled from, all of them.

    Args:
        placement: in prepare; `store` gains `slot`.
        slot: the slot.
        store: the store that pulls.
        live: stores that answer and are at this epoch.

    Returns:
        The stores, or None when too few are left: acknowledged writes could be lost.
    """
    displaced = displaced_by(placement, slot, store)
    if displaced in live:
        return (displaced,)
    others = [one for one in placement.current(slot) if one in live]
    needed = placement.factor - placement.write_quorum + 1
    return tuple(others[:needed]) if len(others) >= needed else None
