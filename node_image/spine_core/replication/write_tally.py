"""The verdict on one weak put, from the answers of its replicas. Pure.

Invariant: `ACKNOWLEDGED` only when replicas that fsynced the put cover the write quorum of the epoch
in which every one of them was asked (protocol.md §4.2, R3). A missing answer is never a "no".
"""

from enum import StrEnum

from spine_core.records.versions import ABSENT, Version
from spine_core.replication.quorums import write_done, write_possible
from spine_core.replication.replica_status import MAY_HAVE_APPLIED, ReplicaStatus
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.placement import Placement


class WriteVerdict(StrEnum):
    """What the coordinator does next."""

    ACKNOWLEDGED = "acknowledged"
    NEW_EPOCH = "new-epoch"  # adopt the newer document, then try again
    REROUTE = "reroute"  # the record is a register: run the put as its change
    RESTAMP = "restamp"  # a newer version is held: try again above it
    FULL = "full"
    UNAVAILABLE = "unavailable"


class WriteTally:
    """Collect the answers of one attempt: one put, one version, one epoch."""

    __slots__ = ("_answers", "_placement", "_slot", "acks", "superseded_by")

    def __init__(self, placement: Placement, slot: Slot) -> None:
        self._placement = placement
        self._slot = slot
        self._answers: dict[StoreNumber, ReplicaStatus] = {}
        self.acks: set[StoreNumber] = set()
        self.superseded_by: Version = ABSENT

    def copy(self) -> "WriteTally":
        """Return a tally with the same answers, which goes on by itself."""
        other = WriteTally(self._placement, self._slot)
        other._answers = dict(self._answers)
        other.acks = set(self.acks)
        other.superseded_by = self.superseded_by
        return other

    def answer(self, store: StoreNumber, answer: ReplicaStatus, held: Version = ABSENT) -> None:
        """Note the answer of a store; `held` is the newer version of a `superseded`."""
        self._answers[store] = answer
        if answer is ReplicaStatus.OK:
            self.acks.add(store)
        self.superseded_by = max(self.superseded_by, held)

    def asked(self) -> tuple[StoreNumber, ...]:
        """Return the stores of the write set."""
        return self._placement.write_set(self._slot)

    @property
    def may_have_applied(self) -> bool:
        """Whether some replica may hold the put now or later; who has not answered may."""
        answers = self._answers
        return any(
            answers.get(store, ReplicaStatus.LOST) in MAY_HAVE_APPLIED for store in self.asked()
        )

    def verdict(self) -> WriteVerdict | None:
        """Return what follows from the answers so far, None while more can change it."""
        if write_done(self._placement, self._slot, self.acks):
            return WriteVerdict.ACKNOWLEDGED
        failed = self._answers.keys() - self.acks
        if write_possible(self._placement, self._slot, failed):
            return None
        return self._refusal()

    def expire(self) -> WriteVerdict:
        """End the attempt now: whoever has not answered may still apply the put."""
        for store in self.asked():
            if store not in self._answers:
                self.answer(store, ReplicaStatus.LOST)
        return self.verdict() or WriteVerdict.UNAVAILABLE

    def _refusal(self) -> WriteVerdict:
        answers = set(self._answers.values())
        if ReplicaStatus.STALE_EPOCH in answers:
            return WriteVerdict.NEW_EPOCH
        if ReplicaStatus.STRONG in answers:
            return WriteVerdict.REROUTE
        if answers & {ReplicaStatus.SUPERSEDED, ReplicaStatus.LATE}:
            return WriteVerdict.RESTAMP
        return WriteVerdict.FULL if ReplicaStatus.FULL in answers else WriteVerdict.UNAVAILABLE
