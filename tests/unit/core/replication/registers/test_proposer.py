"""What a proposer makes of promises and accepts: the value to go on from, chosen or not, and the next step."""

from collections.abc import Mapping, Sequence

import pytest

from models.clusters import document, stores
from models.register_world import ORIGIN, ballot
from spine_core.records.encoding import FLAG_TOMBSTONE, Record
from spine_core.records.versions import make_version
from spine_core.replication.registers.acceptor import Promise
from spine_core.replication.registers.changes import Changed, ChangeVerdict
from spine_core.replication.registers.proposer import (
    Answer,
    Current,
    Propose,
    RaiseBallot,
    RoundTally,
    RoundVerdict,
    current_value,
    next_step,
)
from spine_core.replication.registers.state import (
    NO_BALLOT,
    RegisterValue,
    grown_from,
    version_of,
)
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import HLC_ZERO, Hlc, Slot, StoreNumber
from spine_core.topology.placement import Placement

A = ReplicaStatus
FIRST = Slot(0)
PLACED = Placement(document())
NOTHING = grown_from(None)


def weak(hlc: int) -> Promise:
    record = Record(make_version(Hlc(hlc), ORIGIN), hlc, b"weak")
    return Promise(NO_BALLOT, grown_from(record), learned=False, floor=HLC_ZERO)


def value(hlc: int, flags: int = 0) -> RegisterValue:
    return NOTHING._replace(record=Record(version_of(ballot(hlc)), hlc, b"", flags=flags))


def accepted(hlc: int, written: RegisterValue, *, learned: bool = False, floor: int = 0) -> Promise:
    return Promise(ballot(hlc), written, learned, Hlc(floor))


def current(*promises: Promise) -> Current:
    by_store: Mapping[StoreNumber, Promise] = dict(
        zip(sorted(stores(1, 2, 3)), promises, strict=False)
    )
    return current_value(by_store)


def unchanged(held: RegisterValue) -> Changed:
    return Changed(held, ChangeVerdict.UNCHANGED)


def test_the_value_of_the_highest_ballot_counts_whatever_is_weak() -> None:
    found = current(accepted(10, value(10)), weak(50), accepted(20, value(20)))
    assert found == Current(value(20), ballot(20), chosen=False)


def test_without_an_accepted_value_a_register_grows_from_the_newest_weak_record() -> None:
    assert current(weak(5), weak(9)) == Current(weak(9).value, NO_BALLOT, chosen=False)


def test_a_register_of_nothing_begins_with_a_tombstone() -> None:
    nothing = Promise(NO_BALLOT, NOTHING, learned=False, floor=HLC_ZERO)
    assert current(nothing, nothing) == Current(NOTHING, NO_BALLOT, chosen=False)


def test_one_ballot_on_a_write_quorum_does_not_prove_that_its_value_is_chosen() -> None:
    assert not current(accepted(10, value(10)), accepted(10, value(10))).chosen


def test_one_learned_copy_is_chosen() -> None:
    assert current(accepted(10, value(10), learned=True), weak(5)).chosen


def test_a_learned_copy_says_nothing_about_a_newer_value() -> None:
    assert not current(accepted(10, value(10), learned=True), accepted(20, value(20))).chosen


@pytest.mark.parametrize(("at", "counts"), [(20, False), (21, True)])
def test_a_tombstone_at_or_below_a_floor_counts_as_absent(at: int, counts: bool) -> None:
    tombstone = accepted(at, value(at, FLAG_TOMBSTONE), learned=True)
    new = weak(30)._replace(floor=Hlc(20))
    expected = tombstone.value if counts else new.value
    assert current(tombstone, new).value == expected


def test_a_round_below_the_current_value_begins_again_above_it() -> None:
    found = Current(value(20), ballot(20), chosen=True)
    assert next_step(found, ballot(20), unchanged) == RaiseBallot(Hlc(20))
    assert next_step(found, ballot(21), unchanged) == Answer(unchanged(value(20)))


def test_what_is_not_known_to_be_chosen_is_proposed_even_unchanged() -> None:
    found = Current(value(20), ballot(20), chosen=False)
    assert next_step(found, ballot(21), unchanged) == Propose(unchanged(value(20)))


def test_a_change_is_proposed() -> None:
    changed = Changed(value(30), ChangeVerdict.APPLIED)
    step = next_step(Current(value(20), ballot(20), chosen=True), ballot(30), lambda _: changed)
    assert step == Propose(changed)


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([None, None, None], None),
        ([A.OK, None, None], None),
        ([A.OK, A.NACK, None], None),
        ([A.OK, A.OK, A.NACK], RoundVerdict.DONE),
        ([A.OK, A.NACK, A.LOST], RoundVerdict.HIGHER_BALLOT),
        ([A.LATE, A.LOST, None], RoundVerdict.HIGHER_BALLOT),
        ([A.NACK, A.STALE_EPOCH, None], RoundVerdict.NEW_EPOCH),
        ([A.FULL, A.LOST, None], RoundVerdict.FULL),
        ([A.LOST, A.UNREACHABLE, None], RoundVerdict.UNAVAILABLE),
    ],
)
def test_half_a_round_needs_a_write_quorum(
    answers: Sequence[ReplicaStatus | None], verdict: RoundVerdict | None
) -> None:
    tally = RoundTally(PLACED, FIRST)
    for store, answer in zip(tally.asked(), answers, strict=True):
        if answer is not None:
            tally.answer(store, answer)
    assert tally.verdict() == verdict
    assert tally.expire() == (verdict or _expired(answers))


def test_the_next_ballot_lies_above_every_refusal() -> None:
    tally = RoundTally(PLACED, FIRST)
    for store, hlc in zip(tally.asked(), (30, 20), strict=False):
        tally.answer(store, A.NACK, ballot(hlc))
    assert tally.refused_by == ballot(30)


def _expired(answers: Sequence[ReplicaStatus | None]) -> RoundVerdict:
    return RoundVerdict.HIGHER_BALLOT if A.NACK in answers else RoundVerdict.UNAVAILABLE
