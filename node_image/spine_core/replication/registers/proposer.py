"""The two halves of a round as its proposer sees them: what promises amount to, what to propose. Pure.

Invariant: what is answered was chosen: accepted under one ballot by a write quorum of one epoch, each
of which was asked to. Copies that a proposer finds do not show that, equal ballots included. A missing
answer is never a "no".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from spine_core.records.encoding import FLAG_TOMBSTONE
from spine_core.records.versions import hlc_of
from spine_core.replication.quorums import write_done, write_possible
from spine_core.replication.registers.acceptor import Promise
from spine_core.replication.registers.changes import Changed
from spine_core.replication.registers.state import (
    NO_BALLOT,
    Ballot,
    RegisterValue,
    ballot_hlc,
    grown_from,
)
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc, Slot, StoreNumber
from spine_core.topology.placement import Placement

Promises = Mapping[StoreNumber, Promise]


class RoundVerdict(StrEnum):
    """What the proposer does after one half of a round."""

    DONE = "done"
    NEW_EPOCH = "new-epoch"  # adopt the newer document, then begin again
    HIGHER_BALLOT = "higher-ballot"  # wait a little, then begin again above `refused_by`
    FULL = "full"
    UNAVAILABLE = "unavailable"


class RoundTally:
    """Collect the answers to one half of a round: all prepares, or all accepts, of one epoch."""

    __slots__ = ("_failed", "_placement", "_slot", "agreed", "refused_by")

    def __init__(self, placement: Placement, slot: Slot) -> None:
        self._placement, self._slot = placement, slot
        self._failed: dict[StoreNumber, ReplicaStatus] = {}
        self.agreed: set[StoreNumber] = set()
        self.refused_by: Ballot = NO_BALLOT  # the highest ballot of a refusal

    def asked(self) -> tuple[StoreNumber, ...]:
        """Return the stores of the write set."""
        return self._placement.write_set(self._slot)

    def answer(
        self, store: StoreNumber, status: ReplicaStatus, promised: Ballot = NO_BALLOT
    ) -> None:
        """Note the answer of a store; `promised` comes with a `nack`."""
        if status is ReplicaStatus.OK:
            self.agreed.add(store)
        else:
            self._failed[store] = status
        self.refused_by = max(self.refused_by, promised)

    def verdict(self) -> RoundVerdict | None:
        """Return what follows from the answers so far, None while more can change it."""
        if write_done(self._placement, self._slot, self.agreed):
            return RoundVerdict.DONE
        if write_possible(self._placement, self._slot, self._failed.keys()):
            return None
        return self._refusal()

    def expire(self) -> RoundVerdict:
        """End this half now: of an accept, whoever has not answered may still take it."""
        return self.verdict() or self._refusal()

    def _refusal(self) -> RoundVerdict:
        answers = set(self._failed.values())
        if ReplicaStatus.STALE_EPOCH in answers:
            return RoundVerdict.NEW_EPOCH
        if answers & {ReplicaStatus.NACK, ReplicaStatus.LATE}:
            return RoundVerdict.HIGHER_BALLOT
        return RoundVerdict.FULL if ReplicaStatus.FULL in answers else RoundVerdict.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Current:
    """The value that a quorum of promises gives, and whether it is known to be chosen."""

    value: RegisterValue
    accepted: Ballot  # `NO_BALLOT`: it grows from a weak record, or from nothing
    chosen: bool


@dataclass(frozen=True, slots=True)
class RaiseBallot:
    """The current value is as new as this round: begin again above it."""

    above: Hlc


@dataclass(frozen=True, slots=True)
class Propose:
    """Have this accepted; what the change says of it holds once it is chosen."""

    changed: Changed


@dataclass(frozen=True, slots=True)
class Answer:
    """Nothing is to change and the value is known to be chosen: no accept is needed."""

    changed: Changed


def current_value(promises: Promises) -> Current:
    """Return the value to go on from: of the highest accepted ballot, else of the newest weak record.

    A strong tombstone that was accepted at or below the highest floor counts as absent: some replica
    may have purged it and taken a new weak write, which it would otherwise beat.

    Only what was learned is known to be chosen. A write quorum that has accepted one ballot is no
    proof: a store that gains the slot takes over values below its promises, so a round that has not
    met them may still be the higher one.
    """
    floor = max(promise.floor for promise in promises.values())
    counted = [_above(floor, promise) for promise in promises.values()]
    best = max(counted, key=lambda promise: (promise.accepted, promise.value.base))
    version = best.value.record.version
    learned = any(one.learned and one.value.record.version == version for one in counted)
    return Current(best.value, best.accepted, chosen=learned)


def next_step(
    current: Current, ballot: Ballot, change: Callable[[RegisterValue], Changed]
) -> RaiseBallot | Propose | Answer:
    """Return what the proposer of a round does once a write quorum has promised."""
    hlc = hlc_of(current.value.record.version)
    if hlc >= ballot_hlc(ballot):
        return RaiseBallot(hlc)
    changed = change(current.value)
    if current.chosen and changed.value == current.value:
        return Answer(changed)
    return Propose(changed)


def _above(floor: Hlc, promise: Promise) -> Promise:
    tombstone = promise.value.record.flags & FLAG_TOMBSTONE
    if tombstone and promise.accepted != NO_BALLOT and ballot_hlc(promise.accepted) <= floor:
        return Promise(NO_BALLOT, grown_from(None), learned=False, floor=promise.floor)
    return promise
