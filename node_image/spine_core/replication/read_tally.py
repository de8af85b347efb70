"""What the answers to one read amount to. Pure; copies of records are opaque here.

Invariant: what `QuorumRead` finds is held by a write quorum before anybody is told of it, so no later
quorum read can miss it (protocol.md §6). A missing answer is never a "no such record".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from spine_core.records.sessions import Session
from spine_core.records.versions import ABSENT, STRONG, Version, hlc_of, kind_of
from spine_core.replication.quorums import majority, read_done, read_possible, write_done
from spine_core.replication.registers.state import NO_BALLOT, Ballot
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc, Slot, StoreNumber
from spine_core.topology.placement import Placement

MISS_WITNESSES = 2  # replicas that must miss a record before a read says that there is none

C = TypeVar("C")  # a copy of a record


@dataclass(frozen=True, slots=True)
class Found(Generic[C]):
    """The read is answered: with the newest copy, or None where there is no record."""

    copy: C | None
    degraded: bool = False  # fewer replicas answered than it takes; the answer may be wrong
    has_register: bool = False  # some replica that answered has acceptor state of it


@dataclass(frozen=True, slots=True)
class WriteBack(Generic[C]):
    """The newest copy has to be on a write quorum before it is shown."""

    newest: C
    holders: frozenset[StoreNumber]  # replicas that have it, or a newer one


@dataclass(frozen=True, slots=True)
class NeedsRound:
    """The newest value is accepted and perhaps not chosen: only a round can tell, and complete it."""


@dataclass(frozen=True, slots=True)
class OpenRegister(Generic[C]):
    """The acceptor state of a replica that has not learned its value: a promise, or more."""

    promised: Ballot = NO_BALLOT
    ballot: Ballot = NO_BALLOT  # under which a value was accepted; `NO_BALLOT`: none was
    version: Version = ABSENT  # of that value
    copy: C | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Too few replicas answered; another attempt may succeed, unless damage leaves too few."""

    damaged: frozenset[StoreNumber] = frozenset()  # whose copy fails its checksum
    hopeless: bool = False  # all others together are too few


class SingleReplicaRead(Generic[C]):
    """Read from one replica, or as many as the cluster asks for; they are asked one after the other.

    An answer is good when the copy is at or above `need`, the session's own write, or when the floor
    is above it: then what the session wrote was deleted and purged. A read without a need may take
    a miss for an answer too, but believes it only from `MISS_WITNESSES` replicas.
    """

    __slots__ = ("_damaged", "_enough", "_good", "_need", "_newest", "_replicas", "_version")

    def __init__(
        self, replicas: Sequence[StoreNumber], *, need: Version = ABSENT, read_quorum: int = 1
    ) -> None:
        self._replicas, self._need, self._enough = replicas, need, read_quorum
        self._good = 0
        self._damaged: set[StoreNumber] = set()
        self._newest: C | None = None
        self._version: Version = ABSENT  # of the newest copy

    def asked(self) -> Sequence[StoreNumber]:
        """Return the replicas, in the order to ask them."""
        return self._replicas

    def answer(self, held: Version, copy: C | None, floor: Hlc) -> None:
        """Note what one replica holds, and the floor of the slot there."""
        if held < self._need and floor < hlc_of(self._need):
            return
        self._good += 1
        if copy is not None and held > self._version:
            self._newest, self._version = copy, held

    def failed(self, store: StoreNumber, status: ReplicaStatus) -> None:
        """Note that a replica gave no copy."""
        if status is ReplicaStatus.DAMAGED:
            self._damaged.add(store)

    def verdict(self) -> Found[C] | None:
        """Return the answer of the read, None while another replica has to be asked."""
        believed = self._newest is not None or self._need != ABSENT
        witnesses = 1 if believed else min(MISS_WITNESSES, len(self._replicas))
        if self._good >= max(self._enough, witnesses):
            return Found(self._newest)
        return None

    def expire(self) -> Found[C] | Unanswered:
        """End the read: nobody is left to ask."""
        if not self._good:
            return Unanswered(frozenset(self._damaged), len(self._damaged) == len(self._replicas))
        return self.verdict() or Found(self._newest, degraded=True)


class QuorumRead(Generic[C]):
    """Read from a majority of the replicas that reads ask, under one epoch.

    `next` names as many as a majority takes, and another one for each that fails; `rest` all others,
    for when those are late. A copy comes only with a version above `newest` of the moment when its
    replica was asked, so the newest version of all has come with its copy.
    """

    __slots__ = (
        "_asked",
        "_copy",
        "_damaged",
        "_failed",
        "_held",
        "_open",
        "_placement",
        "_replicas",
        "_slot",
        "newest",
    )

    def __init__(self, placement: Placement, slot: Slot, replicas: Sequence[StoreNumber]) -> None:
        """`replicas`: the read set of the slot, in the order to ask it."""
        self._placement, self._slot, self._replicas = placement, slot, replicas
        self._asked = 0  # of the replicas, from the first
        self._held: dict[StoreNumber, Version] = {}  # store → version of its copy
        self._copy: C | None = None  # of `newest`
        self._open: dict[StoreNumber, OpenRegister[C]] = {}
        self._failed: set[StoreNumber] = set()
        self._damaged: set[StoreNumber] = set()  # of those that failed
        self.newest: Version = ABSENT  # of the answers so far

    def next(self) -> Sequence[StoreNumber]:
        """Return whom to ask now, so that a majority answers if none of those asked fails."""
        begin, wanted = self._asked, majority(len(self._replicas)) + len(self._failed)
        self._asked = max(begin, min(len(self._replicas), wanted))
        return self._replicas[begin : self._asked]

    def rest(self) -> Sequence[StoreNumber]:
        """Return all that have not been asked."""
        begin, self._asked = self._asked, len(self._replicas)
        return self._replicas[begin:]

    def silent(self) -> Sequence[StoreNumber]:
        """Return those that were asked and have not answered."""
        asked = self._replicas[: self._asked]
        return [store for store in asked if store not in self._held and store not in self._failed]

    def answer(
        self,
        store: StoreNumber,
        status: ReplicaStatus,
        held: Version,
        copy: C | None,
        register: OpenRegister[C] | None = None,
    ) -> None:
        """Note the answer of a store: its version with `ok`, and no word on the record without."""
        if status is ReplicaStatus.OK:
            self._held[store] = held
            if register is not None:
                self._open[store] = register
            if held > self.newest:
                self.newest, self._copy = held, copy
        else:
            self._failed.add(store)
        if status is ReplicaStatus.DAMAGED:
            self._damaged.add(store)

    def verdict(self) -> Found[C] | WriteBack[C] | NeedsRound | Unanswered | None:
        """Return what follows from the answers so far, None while more can change it."""
        if read_done(self._placement, self._slot, self._held.keys()):
            return self._found()
        if read_possible(self._placement, self._slot, self._failed):
            return None
        return self._unanswered()

    def expire(self) -> Found[C] | WriteBack[C] | NeedsRound | Unanswered:
        """End the attempt now."""
        return self.verdict() or self._unanswered()

    def _unanswered(self) -> Unanswered:
        hopeless = not read_possible(self._placement, self._slot, self._damaged)
        return Unanswered(frozenset(self._damaged), hopeless)

    def _found(self) -> Found[C] | WriteBack[C] | NeedsRound:
        newest = self.newest
        if any(register.version > newest for register in self._open.values()):
            return self._chosen()
        if newest != ABSENT and kind_of(newest) == STRONG:
            # learned: a write quorum has accepted it
            return Found(self._copy, has_register=True)
        if newest == ABSENT:
            return Found(None, has_register=bool(self._open))
        assert self._copy is not None, "a version above all others comes with its copy"
        # beside acceptor state a weak copy vouches for nothing: it may have come after the promise,
        # and the round may have been promised without it
        holders = frozenset(
            store
            for store, held in self._held.items()
            if held == newest and store not in self._open
        )
        if write_done(self._placement, self._slot, holders):
            return Found(self._copy, has_register=bool(self._open))
        return WriteBack(self._copy, holders)

    def _chosen(self) -> Found[C] | NeedsRound:
        """Return the newest accepted value if a write quorum has accepted it under one ballot.

        Every chosen value extends those before it, so none can be newer than the newest of a majority.
        A value vouches for nothing where a higher ballot is promised: it may have been transferred to
        that replica after the promise, and the higher round may have been promised without it.
        """
        best = max(self._open.values(), key=lambda one: (one.version, one.ballot))
        same = {
            store for store, one in self._open.items() if one.ballot == one.promised == best.ballot
        }
        if write_done(self._placement, self._slot, same):
            return Found(best.copy, has_register=True)
        return NeedsRound()


def answers_alone(held: Version, need: Version, read_quorum: int) -> bool:
    """Whether the first copy found is the answer of a read: what `SingleReplicaRead` would say of it.

    Most reads end here, with our own copy, so they ask this before there is a tally.
    """
    return read_quorum == 1 and held != ABSENT and held >= need


def own_write_need(session: Session, key_hash: int, stable: Hlc) -> Version | None:
    """Return the version below which one replica may not answer a read of this session.

    `ABSENT`: every replica will do. None: the token may have forgotten a write of this record, so
    that a quorum has to be asked. `stable` is the stable time of the record's slot.
    """
    need = session.need(key_hash)
    if need is None and session.o <= stable:
        return ABSENT
    return need
