"""The verdicts on a group of puts that were sent together to the same replicas. Pure.

Their answers nearly always agree, and one `WriteTally` serves them all. A put that some replica
answered otherwise has a tally of its own from then on, so nothing is decided by its neighbours.
"""

from collections.abc import Iterator, Sequence

from spine_core.records.versions import ABSENT
from spine_core.replication.put_rules import RefusedPut
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_tally import WriteTally
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.placement import Placement


class PutGroupTally:
    """Collect the answers to one group: puts of one epoch whose slots have the same replicas."""

    __slots__ = ("_apart", "_together")

    def __init__(self, placement: Placement, slot: Slot) -> None:
        """`slot`: of any put of the group."""
        self._together = WriteTally(placement, slot)
        self._apart: dict[int, WriteTally] = {}  # put → its own tally

    def asked(self) -> tuple[StoreNumber, ...]:
        """Return the stores of the write set."""
        return self._together.asked()

    def answer(
        self, store: StoreNumber, status: ReplicaStatus, refused: Sequence[RefusedPut] = ()
    ) -> None:
        """Note the answer of a store: one status for all puts but those it names."""
        own = {put.position: put for put in refused}
        for position in own.keys() - self._apart.keys():
            self._apart[position] = self._together.copy()
        self._together.answer(store, status)
        for position, tally in self._apart.items():
            if position in own:
                tally.answer(store, own[position].status, own[position].held or ABSENT)
            else:
                tally.answer(store, status)

    def of(self, position: int) -> WriteTally:
        """Return the tally that decides one put, shared with others where all answers agree."""
        return self._apart.get(position, self._together)

    def decided(self, waiting: Sequence[int]) -> Iterator[int]:
        """Yield those of the waiting puts that have a verdict."""
        together = self._together.verdict() is not None
        for position in waiting:
            own = self._apart.get(position)
            if together if own is None else own.verdict() is not None:
                yield position

    def expire(self, position: int) -> WriteTally:
        """End one put now: whoever has not answered may still apply it; the others go on."""
        tally = self._apart[position] = self.of(position).copy()
        tally.expire()
        return tally
