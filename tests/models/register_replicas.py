"""The product's decisions on one replica, with numbers for things, so that states are small."""

from collections.abc import Hashable
from functools import cache
from typing import Generic, NamedTuple, TypeVar

from models.register_world import NOW, ORIGIN, ballot
from spine_core.records.encoding import FLAG_TOMBSTONE, Record
from spine_core.records.versions import ABSENT, STRONG, Version, kind_of
from spine_core.replication.put_rules import PutKind, PutVerdict
from spine_core.replication.read_tally import OpenRegister
from spine_core.replication.registers.acceptor import (
    Accepted,
    Promise,
    Replica,
    accept,
    learn,
    prepare,
    put_weak,
    transfer,
)
from spine_core.replication.registers.changes import Changed
from spine_core.replication.registers.proposer import Current, current_value
from spine_core.replication.registers.state import (
    Ballot,
    RegisterState,
    ballot_hlc,
    grown_from,
    make_ballot,
    version_of,
)
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc, StoreNumber

T = TypeVar("T", bound=Hashable)

_TOP = make_ballot(Hlc(1 << 60), ORIGIN)  # of a round above all others


class ReadReply(NamedTuple):
    """What a replica answers to a quorum read; the version of a copy stands for the copy."""

    held: Version
    register: OpenRegister[Version] | None


class Numbers(Generic[T]):
    """Numbers for things of one type."""

    def __init__(self) -> None:
        self.things: list[T] = []
        self._numbers: dict[T, int] = {}

    def of(self, thing: T) -> int:
        number = self._numbers.setdefault(thing, len(self.things))
        if number == len(self.things):
            self.things.append(thing)
        return number


class Replicas:
    """What a replica decides about each message: replica → replica and answer, by their numbers.

    Every decision is made once: the rules are pure.
    """

    def __init__(self) -> None:
        self.replicas: Numbers[Replica] = Numbers()
        self.promises: Numbers[Promise] = Numbers()
        self.proposals: Numbers[Changed] = Numbers()
        self.replies: Numbers[ReadReply] = Numbers()  # to quorum reads
        self.put = cache(self._put)
        self.pull = cache(self._pull)
        self.transfer = cache(self._transfer)
        self.reply = cache(self._reply)
        self.prepare = cache(self._prepare)
        self.accept = cache(self._accept)
        self.learn = cache(self._learn)
        self.fresh = cache(self._fresh)
        self.accepted = cache(self._accepted)

    def empty(self) -> int:
        return self.replicas.of(Replica())

    def deleted(self, at: Ballot, op: int) -> int:
        """Return a replica that has learned a deletion."""
        record = Record(version_of(at), op, b"", flags=FLAG_TOMBSTONE)
        value = grown_from(None)._replace(record=record, changes=((op, at),))
        return self.replicas.of(Replica(record, RegisterState(at, at, value, learned=True)))

    def purged(self, number: int, floor: Hlc) -> int:
        """Return the replica with its floor at the deletion that it has learned, nothing below it."""
        replica = self.replicas.things[number]
        assert replica.register is not None
        if replica.floor or ballot_hlc(replica.register.promised) <= floor:
            return number if replica.floor else self.replicas.of(Replica(floor=floor))
        return self.replicas.of(replica._replace(floor=floor))

    def _put(
        self, number: int, version: Version, op: int, kind: PutKind
    ) -> tuple[int, ReplicaStatus]:
        record = Record(version, op, b"")
        after, verdict = put_weak(self.replicas.things[number], record, NOW, kind)
        applied = verdict in (PutVerdict.APPLY, PutVerdict.ALREADY)
        status = ReplicaStatus.OK if applied else ReplicaStatus(verdict)
        return self.replicas.of(after), status

    def _pull(self, number: int, source: int) -> int:
        """Take the weak record of the source as anti-entropy does: if it is newer."""
        replica, held = self.replicas.things[number], self.replicas.things[source].held
        if held is None or kind_of(held.version) == STRONG:
            return number
        if replica.held is not None and replica.held.version >= held.version:
            return number
        return self.replicas.of(replica._replace(held=held))

    def _transfer(self, number: int, source: int) -> int:
        """Take all that the source has of the record (R4)."""
        replica, whole = self.replicas.things[number], self.replicas.things[source]
        return self.replicas.of(transfer(replica, whole.held, whole.register))

    def _reply(self, number: int) -> int:
        replica = self.replicas.things[number]
        held = ABSENT if replica.held is None else replica.held.version
        return self.replies.of(ReadReply(held, _open(replica.register)))

    def _prepare(self, number: int, this: Ballot) -> tuple[int, int | None]:
        """Return the promise as its number, None for a refusal."""
        after, reply = prepare(self.replicas.things[number], this)
        promise = self.promises.of(reply) if isinstance(reply, Promise) else None
        return self.replicas.of(after), promise

    def _accept(self, number: int, this: Ballot, proposal: int) -> tuple[int, bool]:
        value = self.proposals.things[proposal].value
        after, reply = accept(self.replicas.things[number], this, value, NOW)
        return self.replicas.of(after), isinstance(reply, Accepted)

    def _learn(self, number: int, this: Ballot, proposal: int) -> int:
        value = self.proposals.things[proposal].value
        return self.replicas.of(learn(self.replicas.things[number], this, value))

    def _fresh(self, quorum: tuple[int, ...]) -> Current:
        """Return what a round above all others would go on from, asking these replicas."""
        promises = {}
        for place, number in enumerate(quorum):
            reply = prepare(self.replicas.things[number], _TOP)[1]
            assert isinstance(reply, Promise)
            promises[StoreNumber(place)] = reply
        return current_value(promises)

    def _accepted(self, number: int, hlc: int) -> bool:
        register = self.replicas.things[number].register
        return register is not None and register.accepted == ballot(hlc)


def _open(register: RegisterState | None) -> OpenRegister[Version] | None:
    if register is None or register.learned:
        return None
    if register.value is None:
        return OpenRegister(register.promised)
    version = register.value.record.version
    return OpenRegister(register.promised, register.accepted, version, version)
