"""Which stores to ask so that every slot is answered often enough, by as few of them as possible.

Sets of slots are bitmaps: slot *s* is bit *s* of an integer. Pure.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from spine_core.scalars import StoreNumber
from spine_core.topology.placement import Placement


class Coverage:
    """The answers of one query: no store answers for a slot twice."""

    def __init__(self, held: Mapping[StoreNumber, int], wanted: int, copies: int) -> None:
        """Ask for `wanted` slots, each of `copies` stores among those that hold it."""
        self._held, self._wanted = held, wanted
        self._asked: dict[StoreNumber, int] = {}  # store → slots it was ever asked for
        self._layers = [0] * copies  # slots with at least 1, 2, … answers

    @property
    def missing(self) -> int:
        """The slots that still lack an answer."""
        return self._wanted & ~self._layers[-1]

    def next_calls(self, order: Sequence[StoreNumber]) -> dict[StoreNumber, int]:
        """Return store → slots to ask it for; empty when nothing is missing or nobody is left.

        Greedy: the store that answers most comes first, among equals the first of `order`.
        """
        calls: dict[StoreNumber, int] = {}
        expected = list(self._layers)
        for layer in range(len(expected)):
            while lacking := self._wanted & ~expected[layer]:
                gains = {store: lacking & self._open_to(store, calls) for store in order}
                best = max(gains, key=lambda store: gains[store].bit_count(), default=None)
                if best is None or not gains[best]:
                    break
                calls[best] = calls.get(best, 0) | gains[best]
                _count(expected, gains[best])
        for store, slots in calls.items():
            self._asked[store] = self._asked.get(store, 0) | slots
        return calls

    def answered(self, slots: int) -> None:
        """Count one store's answer for the slots it was asked for."""
        _count(self._layers, slots)

    def _open_to(self, store: StoreNumber, calls: Mapping[StoreNumber, int]) -> int:
        return self._held.get(store, 0) & ~self._asked.get(store, 0) & ~calls.get(store, 0)


def unreadable(
    held: Mapping[StoreNumber, int], damaged: Mapping[StoreNumber, int], missing: int, copies: int
) -> int:
    """Return the missing slots that too few stores could answer for if all of them did.

    `damaged` is store → slots in which it holds a record that it cannot read.
    """
    layers = [0] * copies
    for store, slots in held.items():
        _count(layers, slots & ~damaged.get(store, 0))
    return missing & ~layers[-1]


def _count(layers: list[int], slots: int) -> None:
    for layer in range(len(layers) - 1, 0, -1):
        layers[layer] |= layers[layer - 1] & slots
    layers[0] |= slots


@lru_cache(maxsize=2)  # of this epoch and the one before
def slots_read_from(placement: Placement) -> Mapping[StoreNumber, int]:
    """Return store → the slots that reads may ask it for."""
    held: dict[StoreNumber, int] = {}
    for slot in placement.slots:
        for store in placement.read_set(slot):
            held[store] = held.get(store, 0) | 1 << slot
    return held
