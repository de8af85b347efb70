"""Placement: the stores that hold each slot in one epoch, read off the ring once. Pure.

The *old* replicas of a slot are those that `current` gives it, the *new* ones those of the change's
target; without a change they are the same.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import cast

from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import Document, Phase, Seat, Zone
from spine_core.topology.ring import Ring, ZonePolicy
from spine_core.topology.seats import placeable

Replicas = tuple[StoreNumber, ...]

_TABLES_KEPT = 64  # a planner tries one table per seat it might add; 4096 slots take ~0.3 MB each


class Placement:
    """The replicas of every slot under one document, whose zones can hold them."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.epoch = document.epoch
        self.phase = document.phase
        self.factor = document.factor
        self.write_quorum = document.write_quorum
        self.slots = cast("Sequence[Slot]", range(document.slots))
        self._current = _replicas(document, document.current)
        self._target = self._current
        self._write = self._current
        if document.change is not None:
            self._target = _replicas(document, document.target)
            self._write = tuple(
                (*old, *(store for store in new if store not in old))
                for old, new in zip(self._current, self._target, strict=True)
            )

    def current(self, slot: Slot) -> Replicas:
        """Return the old replicas, in the order of the ring."""
        return self._current[slot]

    def target(self, slot: Slot) -> Replicas:
        """Return the new replicas, in the order of the ring."""
        return self._target[slot]

    def write_set(self, slot: Slot) -> Replicas:
        """Return old and new replicas, the old ones first: where writes go."""
        return self._write[slot]

    def read_set(self, slot: Slot) -> Replicas:
        """Return where reads ask: the old replicas, from switch on the new ones."""
        return (self._target if self.phase is Phase.SWITCH else self._current)[slot]

    def replicas_of(self, slot: Slot) -> tuple[frozenset[StoreNumber], frozenset[StoreNumber]]:
        """Return (old, new replicas) as sets: the same object for all slots that have the same."""
        return self._pairs[slot]

    def slots_of(self, store: StoreNumber) -> frozenset[Slot]:
        """Return the slots whose writes the store takes."""
        return self._slots_by_store.get(store, frozenset())

    def gained(self) -> Mapping[StoreNumber, frozenset[Slot]]:
        """Return store → slots it has to pull, as a new replica only; without stores that gain none."""
        return self._gained

    def lost(self) -> Mapping[StoreNumber, frozenset[Slot]]:
        """Return store → slots it gives up, as an old replica only; without stores that lose none."""
        return self._lost

    @cached_property
    def groups(self) -> Mapping[tuple[Replicas, Replicas], tuple[Slot, ...]]:
        """(old, new replicas) → their slots: far fewer than slots, for rules that look at every one."""
        groups: dict[tuple[Replicas, Replicas], list[Slot]] = {}
        for slot, old, new in zip(self.slots, self._current, self._target, strict=True):
            groups.setdefault((old, new), []).append(slot)
        return {pair: tuple(slots) for pair, slots in groups.items()}

    @cached_property
    def _pairs(self) -> tuple[tuple[frozenset[StoreNumber], frozenset[StoreNumber]], ...]:
        pairs: dict[object, tuple[frozenset[StoreNumber], frozenset[StoreNumber]]] = {}
        return tuple(
            pairs.setdefault(pair, pair)
            for pair in zip(
                map(frozenset, self._current), map(frozenset, self._target), strict=True
            )
        )

    @cached_property
    def _slots_by_store(self) -> dict[StoreNumber, frozenset[Slot]]:
        return self._by_store(lambda old, new: {*old, *new})

    @cached_property
    def _gained(self) -> dict[StoreNumber, frozenset[Slot]]:
        return self._by_store(lambda old, new: {*new} - {*old})

    @cached_property
    def _lost(self) -> dict[StoreNumber, frozenset[Slot]]:
        return self._by_store(lambda old, new: {*old} - {*new})

    def _by_store(
        self, chosen: Callable[[Replicas, Replicas], set[StoreNumber]]
    ) -> dict[StoreNumber, frozenset[Slot]]:
        found: dict[StoreNumber, set[Slot]] = {}
        for (old, new), slots in self.groups.items():
            for store in chosen(old, new):
                found.setdefault(store, set()).update(slots)
        return {store: frozenset(found[store]) for store in sorted(found)}


def _replicas(document: Document, seats: Mapping[Seat, StoreNumber]) -> tuple[Replicas, ...]:
    zones = {seat: document.stores[number].zone for seat, number in seats.items()}
    table = _seat_table(
        tuple(sorted(zones.items())),
        document.virtual_nodes,
        document.slots,
        document.factor,
        document.zone_policy,
    )
    numbered: dict[tuple[Seat, ...], Replicas] = {
        row: tuple(seats[seat] for seat in row) for row in set(table)
    }
    return tuple(numbered[row] for row in table)


@lru_cache(maxsize=_TABLES_KEPT)
def _seat_table(
    seats: tuple[tuple[Seat, Zone], ...],
    virtual_nodes: int,
    slots: int,
    factor: int,
    zone_policy: ZonePolicy,
) -> tuple[tuple[Seat, ...], ...]:
    assert placeable(dict(seats), factor=factor, zone_policy=zone_policy), (
        "from_json and guards ask"
    )
    ring = Ring(dict(seats), virtual_nodes=virtual_nodes, slots=slots)
    return tuple(
        ring.get_replica_nodes(Slot(slot), factor=factor, zone_policy=zone_policy)
        for slot in range(slots)
    )
