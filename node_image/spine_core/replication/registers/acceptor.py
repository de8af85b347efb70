"""The decisions of one replica about the messages of a round; made inside its writer.

As with a weak put, the check of the epoch, the decision and the write are one atomic step. Whatever
state is decided here is durable before the answer leaves: an acceptor that forgets a promise breaks
every round after it. From the first promise on the replica refuses weak puts (`judge_put`).
"""

from typing import NamedTuple

from spine_core.records.encoding import Record
from spine_core.records.hlc import MAX_WRITE_MS
from spine_core.records.versions import STRONG, hlc_from_ms, kind_of
from spine_core.replication.put_rules import PutKind, PutVerdict, judge_put
from spine_core.replication.registers.state import (
    NO_BALLOT,
    Ballot,
    RegisterState,
    RegisterValue,
    ballot_hlc,
    grown_from,
    make_ballot,
)
from spine_core.scalars import HLC_ZERO, Hlc, Origin

_MAX_WRITE = hlc_from_ms(MAX_WRITE_MS)
_LAST_ORIGIN = Origin(2**32 - 1)


class Replica(NamedTuple):
    """All that one replica has of one record."""

    held: Record | None = None  # in the record table: a weak record, or one that was learned
    register: RegisterState | None = None
    floor: Hlc = HLC_ZERO  # purge floor of the slot: "no register" at or below it may mean "purged"


class Promise(NamedTuple):
    """A replica takes part in no lower round any more, and says what it has."""

    accepted: Ballot  # `NO_BALLOT`: the value is what would grow from the weak record
    value: RegisterValue
    learned: bool
    floor: Hlc


class Nack(NamedTuple):
    """Refused: a round of this ballot, or the purge floor, is in the way."""

    promised: Ballot


class Accepted(NamedTuple):
    """The value is on disk under the ballot of the round."""


class Late(NamedTuple):
    """Refused: the round began too long ago to be taken by anyone."""


def put_weak(
    replica: Replica, record: Record, now_hlc: Hlc, kind: PutKind
) -> tuple[Replica, PutVerdict]:
    """Decide about a weak put: a promise alone refuses it, or rounds could miss what it stores."""
    verdict = judge_put(
        version=record.version,
        held=replica.held and replica.held.version,
        has_register=replica.register is not None,
        floor=replica.floor,
        now_hlc=now_hlc,
        kind=kind,
    )
    return (replica._replace(held=record) if verdict is PutVerdict.APPLY else replica), verdict


def prepare(replica: Replica, ballot: Ballot) -> tuple[Replica, Promise | Nack]:
    """Decide about a prepare: return what the replica has to store, and its answer."""
    promised = _promised(replica)
    if ballot <= promised:
        return replica, Nack(promised)
    old = replica.register or RegisterState(NO_BALLOT)
    after = replica._replace(register=old._replace(promised=ballot))
    return after, Promise(old.accepted, _value(replica), old.learned, replica.floor)


def accept(
    replica: Replica, ballot: Ballot, value: RegisterValue, now_hlc: Hlc
) -> tuple[Replica, Accepted | Nack | Late]:
    """Decide about an accept: return what the replica has to store, and its answer."""
    if now_hlc > ballot_hlc(ballot) + _MAX_WRITE:
        return replica, Late()
    promised = _promised(replica)
    if ballot < promised:
        return replica, Nack(promised)
    if replica.register is not None and ballot == replica.register.accepted:
        return replica, Accepted()  # sent twice; it may have been learned since
    return replica._replace(register=RegisterState(ballot, ballot, value)), Accepted()


def learn(replica: Replica, ballot: Ballot, value: RegisterValue) -> Replica:
    """Take over a value that was chosen under a ballot; return what the replica has to store.

    A higher accepted value stays: whether it is chosen is not known here.
    """
    old = replica.register or RegisterState(NO_BALLOT)
    if replica.register is None and ballot <= _promised(replica):
        return replica  # it was here, and purged
    if ballot >= old.accepted:
        old = RegisterState(max(old.promised, ballot), ballot, value, learned=True)
    held = replica.held
    if held is None or held.version < value.record.version:
        held = value.record
    return replica._replace(held=held, register=old)


def transfer(replica: Replica, held: Record | None, register: RegisterState | None) -> Replica:
    """Take over all that another replica has of the record, promises included (R4).

    Whoever is displaced by this replica took part in rounds that may still go on: a promise that did
    not come along would let an older round pass here.
    """
    if replica.held is not None and (held is None or held.version < replica.held.version):
        held = replica.held
    if register is None:
        return replica._replace(held=held)
    ours = replica.register or RegisterState(NO_BALLOT)
    newer = max(ours, register, key=lambda state: (state.accepted, state.learned))
    promised = max(ours.promised, register.promised)
    return replica._replace(held=held, register=newer._replace(promised=promised))


def _promised(replica: Replica) -> Ballot:
    """Return the ballot below which nothing is taken; without state the floor stands for it."""
    if replica.register is not None:
        return replica.register.promised
    return make_ballot(replica.floor, _LAST_ORIGIN)


def _value(replica: Replica) -> RegisterValue:
    if replica.register is not None and replica.register.value is not None:
        return replica.register.value
    held = replica.held
    assert held is None or kind_of(held.version) != STRONG, "a strong record has a register"
    return grown_from(held)
