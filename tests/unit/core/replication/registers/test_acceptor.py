"""One replica of a register: promises hold, floors stand for what was purged, what is chosen is kept."""

import pytest

from models.register_world import ORIGIN, ballot
from spine_core.records.encoding import Record
from spine_core.records.hlc import MAX_WRITE_MS
from spine_core.records.versions import hlc_from_ms, make_version
from spine_core.replication.put_rules import PutKind, PutVerdict
from spine_core.replication.registers.acceptor import (
    Accepted,
    Late,
    Nack,
    Promise,
    Replica,
    accept,
    learn,
    prepare,
    put_weak,
    transfer,
)
from spine_core.replication.registers.state import (
    NO_BALLOT,
    RegisterState,
    RegisterValue,
    grown_from,
    version_of,
)
from spine_core.scalars import Hlc

NOW = Hlc(100)


def weak(hlc: int) -> Record:
    return Record(make_version(Hlc(hlc), ORIGIN), hlc, b"weak")


def value(hlc: int) -> RegisterValue:
    """Return what a round of this timestamp has written."""
    record = Record(version_of(ballot(hlc)), hlc, b"strong")
    return grown_from(None)._replace(record=record, changes=((hlc, ballot(hlc)),))


def test_a_promise_alone_refuses_weak_puts() -> None:
    replica, _ = prepare(Replica(), ballot(10))
    after, verdict = put_weak(replica, weak(20), NOW, PutKind.WRITE)
    assert verdict is PutVerdict.STRONG
    assert after == replica


def test_a_weak_put_is_stored_where_nothing_was_promised() -> None:
    after, verdict = put_weak(Replica(), weak(20), NOW, PutKind.WRITE)
    assert verdict is PutVerdict.APPLY
    assert after.held == weak(20)


def test_a_promise_carries_the_weak_record_as_the_value_that_would_grow_from_it() -> None:
    replica, promise = prepare(Replica(weak(5)), ballot(10))
    assert promise == Promise(NO_BALLOT, grown_from(weak(5)), learned=False, floor=Hlc(0))
    assert replica == Replica(weak(5), RegisterState(ballot(10)))


def test_a_promise_carries_the_accepted_value_and_keeps_it() -> None:
    old = RegisterState(ballot(10), ballot(10), value(10))
    replica, promise = prepare(Replica(weak(50), old), ballot(20))
    assert promise == Promise(ballot(10), value(10), learned=False, floor=Hlc(0))
    assert replica.register == old._replace(promised=ballot(20))


@pytest.mark.parametrize("hlc", [9, 10])
def test_no_round_at_or_below_a_promise_is_promised(hlc: int) -> None:
    replica = Replica(register=RegisterState(ballot(10)))
    assert prepare(replica, ballot(hlc)) == (replica, Nack(ballot(10)))


def test_a_round_is_accepted_at_its_promise_and_not_below() -> None:
    replica = Replica(register=RegisterState(ballot(10)))
    assert accept(replica, ballot(9), value(9), NOW) == (replica, Nack(ballot(10)))
    after, answer = accept(replica, ballot(10), value(10), NOW)
    assert answer == Accepted()
    assert after.register == RegisterState(ballot(10), ballot(10), value(10))


def test_an_accept_needs_no_promise_before_it() -> None:
    after, answer = accept(Replica(), ballot(10), value(10), NOW)
    assert answer == Accepted()
    assert after.register == RegisterState(ballot(10), ballot(10), value(10))


def test_an_accept_that_comes_twice_does_not_undo_what_was_learned() -> None:
    replica = learn(Replica(), ballot(10), value(10))
    assert accept(replica, ballot(10), value(10), NOW) == (replica, Accepted())


@pytest.mark.parametrize(("hlc", "taken"), [(20, False), (21, True)])
def test_without_state_the_floor_is_the_promise(hlc: int, taken: bool) -> None:
    replica = Replica(floor=Hlc(20))
    _, promise = prepare(replica, ballot(hlc))
    after, accepted = accept(replica, ballot(hlc), value(hlc), NOW)
    assert isinstance(promise, Promise) is taken
    assert isinstance(accepted, Accepted) is taken
    assert (after != replica) is taken
    assert (learn(replica, ballot(hlc), value(hlc)) != replica) is taken


def test_with_state_the_floor_refuses_nothing() -> None:
    replica = Replica(register=RegisterState(ballot(10)), floor=Hlc(20))
    assert isinstance(prepare(replica, ballot(15))[1], Promise)


@pytest.mark.parametrize(("waited", "taken"), [(0, True), (1, False)])
def test_an_accept_is_first_applied_within_five_seconds_of_its_ballot(
    waited: int, taken: bool
) -> None:
    now = Hlc(10 + hlc_from_ms(MAX_WRITE_MS) + waited)
    after, answer = accept(Replica(), ballot(10), value(10), now)
    assert answer == (Accepted() if taken else Late())
    assert (after.register is not None) is taken


def test_what_is_learned_is_the_record_even_under_a_newer_weak_one() -> None:
    after = learn(Replica(weak(50)), ballot(10), value(10))
    assert after.held == value(10).record
    assert after.register == RegisterState(ballot(10), ballot(10), value(10), learned=True)


def test_a_promise_outlives_what_is_learned() -> None:
    replica = Replica(register=RegisterState(ballot(30)))
    register = learn(replica, ballot(10), value(10)).register
    assert register == RegisterState(ballot(30), ballot(10), value(10), learned=True)


def test_a_learned_value_leaves_a_higher_accepted_one_alone() -> None:
    register = RegisterState(ballot(20), ballot(20), value(20))
    after = learn(Replica(register=register), ballot(10), value(10))
    assert after == Replica(value(10).record, register)


def test_an_older_learned_value_does_not_replace_a_newer_one() -> None:
    replica = learn(Replica(), ballot(20), value(20))
    assert learn(replica, ballot(10), value(10)) == replica


def test_a_transfer_takes_the_higher_promise_and_the_higher_accepted_value() -> None:
    ours = Replica(register=RegisterState(ballot(30), ballot(10), value(10)))
    theirs = RegisterState(ballot(20), ballot(20), value(20))
    after = transfer(ours, None, theirs)
    assert after.register == RegisterState(ballot(30), ballot(20), value(20))
    assert transfer(Replica(register=theirs), None, ours.register) == after


def test_a_transfer_brings_a_promise_without_a_value() -> None:
    after = transfer(Replica(), None, RegisterState(ballot(20)))
    assert after == Replica(register=RegisterState(ballot(20)))
    assert transfer(after, None, RegisterState(ballot(10))) == after


def test_what_either_replica_has_learned_stays_learned_in_a_transfer() -> None:
    learned = RegisterState(ballot(10), ballot(10), value(10), learned=True)
    accepted = learned._replace(learned=False)
    after = transfer(Replica(register=accepted), value(10).record, learned)
    assert after == Replica(value(10).record, learned)
    assert transfer(after, None, accepted) == after


@pytest.mark.parametrize("promised", [None, RegisterState(ballot(10))])
def test_a_transfer_brings_the_newer_record_whatever_is_promised(
    promised: RegisterState | None,
) -> None:
    assert transfer(Replica(weak(5), promised), weak(9), None) == Replica(weak(9), promised)
    assert transfer(Replica(weak(9), promised), weak(5), None) == Replica(weak(9), promised)
    assert transfer(Replica(weak(9), promised), None, None) == Replica(weak(9), promised)
