"""What the answers to the write-back of a quorum read amount to. Pure.

A read that found its newest copy on less than a write quorum puts it where it is missing before it
shows it. A write-back changes no record: it completes a write that began earlier.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from spine_core.replication.put_rules import RefusedPut
from spine_core.replication.quorums import write_done, write_possible
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_tally import WriteVerdict
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.placement import Placement

# `late` speaks of the floor here: that replica had this version, or a newer one, and has purged it.
_HAS_IT = frozenset({ReplicaStatus.OK, ReplicaStatus.SUPERSEDED, ReplicaStatus.LATE})


class WriteBackTally:
    """Collect the answers of one write-back: one copy, one epoch."""

    __slots__ = ("_failed", "_holders", "_placement", "_slot", "_strong")

    def __init__(self, placement: Placement, slot: Slot, holders: AbstractSet[StoreNumber]) -> None:
        """Begin with the replicas that hold the copy, or a newer one, already."""
        self._placement, self._slot = placement, slot
        self._holders = set(holders)
        self._failed: set[StoreNumber] = set()
        self._strong = False  # somewhere the record has become a register meanwhile

    def asked(self) -> Iterable[StoreNumber]:
        """Return the stores of the write set that lack the copy."""
        write_set = self._placement.write_set(self._slot)
        return tuple(store for store in write_set if store not in self._holders)

    def answer(
        self, store: StoreNumber, status: ReplicaStatus, refused: Sequence[RefusedPut] = ()
    ) -> None:
        """Note the answer of a store to the one put."""
        if refused:
            status = refused[0].status
        self._strong |= status is ReplicaStatus.STRONG
        (self._holders if status in _HAS_IT else self._failed).add(store)

    def verdict(self) -> WriteVerdict | None:
        """Return whether the copy may be shown, None while more answers can change it."""
        if write_done(self._placement, self._slot, self._holders):
            return WriteVerdict.ACKNOWLEDGED
        if write_possible(self._placement, self._slot, self._failed):
            return None
        return WriteVerdict.REROUTE if self._strong else WriteVerdict.UNAVAILABLE

    def expire(self) -> WriteVerdict:
        """End the attempt now."""
        return self.verdict() or WriteVerdict.UNAVAILABLE
