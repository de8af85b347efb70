"""What the answers to a read amount to: witnesses of a miss, own writes, majorities, write-backs."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.clusters import document, joining
from spine_core.records.sessions import Session
from spine_core.records.versions import ABSENT, Version, hlc_of, make_version
from spine_core.replication.quorums import majority
from spine_core.replication.read_tally import (
    Found,
    QuorumRead,
    SingleReplicaRead,
    Unanswered,
    WriteBack,
    answers_alone,
    own_write_need,
)
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import HLC_ZERO, Hlc, Origin, Slot, StoreNumber
from spine_core.topology.placement import Placement

STORES = (StoreNumber(1), StoreNumber(2), StoreNumber(3))
OLD, NEW, NEWER = (make_version(Hlc(hlc), Origin(1)) for hlc in (5, 9, 12))
OK, LOST, DAMAGED = ReplicaStatus.OK, ReplicaStatus.LOST, ReplicaStatus.DAMAGED
FIRST = Slot(0)
KEY = 77  # a key hash


def single(
    answers: Sequence[tuple[Version, int]], *, need: Version = ABSENT, read_quorum: int = 1
) -> SingleReplicaRead[str]:
    """Return a read of three replicas of which some have answered: (version held, floor)."""
    tally = SingleReplicaRead[str](STORES, need=need, read_quorum=read_quorum)
    for held, floor in answers:
        assert tally.verdict() is None, "another replica was asked, though the read was answered"
        tally.answer(held, None if held == ABSENT else f"copy {hlc_of(held)}", Hlc(floor))
    return tally


def quorum(
    held: Sequence[Version | ReplicaStatus | None],
    placement: Placement | None = None,
    slot: Slot = FIRST,
) -> QuorumRead[str]:
    """Return a read whose read set has answered so, in its order; None has not answered."""
    placement = placement or Placement(document())
    replicas = placement.read_set(slot)
    tally = QuorumRead[str](placement, slot, replicas)
    for store, answer in zip(replicas, held, strict=True):
        if isinstance(answer, ReplicaStatus):
            tally.answer(store, answer, ABSENT, None)
        elif answer is not None:
            copy = None if answer == ABSENT else f"copy {hlc_of(answer)}"
            tally.answer(store, OK, answer, copy)
    return tally


# ---- one replica


def test_the_copy_of_one_replica_is_enough_for_an_eventual_read() -> None:
    assert single([(OLD, 0)]).verdict() == Found("copy 5")


def test_a_miss_is_believed_only_if_a_second_replica_misses_too() -> None:
    assert single([(ABSENT, 0)]).verdict() is None
    assert single([(ABSENT, 0), (ABSENT, 0)]).verdict() == Found(None)
    assert single([(ABSENT, 0), (NEW, 0)]).verdict() == Found("copy 9")


def test_a_miss_without_a_second_witness_is_degraded() -> None:
    assert single([(ABSENT, 0)]).expire() == Found(None, degraded=True)


def test_of_a_single_replica_a_miss_needs_no_second_witness() -> None:
    tally = SingleReplicaRead[str](STORES[:1])
    tally.answer(ABSENT, None, HLC_ZERO)
    assert tally.verdict() == Found(None)


def test_an_eventual_read_takes_the_newest_of_as_many_replicas_as_the_cluster_says() -> None:
    assert single([(OLD, 0)], read_quorum=2).verdict() is None
    assert single([(NEW, 0), (OLD, 0)], read_quorum=2).verdict() == Found("copy 9")
    assert single([(OLD, 0), (NEW, 0)], read_quorum=2).verdict() == Found("copy 9")
    assert single([(OLD, 0)], read_quorum=2).expire() == Found("copy 5", degraded=True)


def test_nobody_is_no_answer() -> None:
    assert single([]).expire() == Unanswered()


def test_a_copy_below_the_own_write_is_no_answer() -> None:
    tally = single([(OLD, 0), (ABSENT, 0)], need=NEW)
    assert tally.verdict() is None
    assert tally.expire() == Unanswered()


@pytest.mark.parametrize("held", [NEW, NEWER])
def test_a_copy_that_reaches_the_own_write_is_an_answer(held: Version) -> None:
    assert single([(OLD, 0), (held, 0)], need=NEW).verdict() == Found(f"copy {hlc_of(held)}")


def test_a_floor_above_an_own_deletion_is_an_answer_to_it() -> None:
    assert single([(ABSENT, hlc_of(NEW))], need=NEW).verdict() == Found(None)
    assert single([(ABSENT, hlc_of(NEW) - 1)], need=NEW).verdict() is None


def test_damage_everywhere_leaves_no_hope() -> None:
    tally = single([])
    for store in STORES:
        assert tally.expire() == Unanswered(frozenset(STORES[: STORES.index(store)]))
        tally.failed(store, DAMAGED)
    assert tally.expire() == Unanswered(frozenset(STORES), hopeless=True)


@given(
    st.sampled_from([ABSENT, OLD, NEW, NEWER]),
    st.sampled_from([ABSENT, NEW]),
    st.integers(1, 3),
)
def test_a_copy_answers_alone_only_where_a_read_of_one_replica_would_end_with_it(
    held: Version, need: Version, read_quorum: int
) -> None:
    tally = single([(held, 0)], need=need, read_quorum=read_quorum)
    assert answers_alone(held, need, read_quorum) is (tally.verdict() is not None)


# ---- what a session needs


def test_a_session_needs_its_own_write() -> None:
    session = Session(t=Hlc(9), o=Hlc(9), writes=((KEY, NEW),))
    assert own_write_need(session, KEY, HLC_ZERO) == NEW


def test_a_session_that_wrote_nothing_here_needs_nothing() -> None:
    assert own_write_need(Session(t=Hlc(9), writes=((KEY + 1, NEW),)), KEY, HLC_ZERO) == ABSENT


def test_what_a_session_may_have_forgotten_needs_a_quorum_until_every_replica_has_it() -> None:
    forgotten = Session(t=Hlc(9), o=Hlc(9))
    assert own_write_need(forgotten, KEY, Hlc(8)) is None
    assert own_write_need(forgotten, KEY, Hlc(9)) == ABSENT


# ---- a quorum


@pytest.mark.parametrize(
    ("held", "verdict"),
    [
        ([None, None, None], None),
        ([NEW, None, None], None),
        ([NEW, LOST, None], None),
        ([ABSENT, ABSENT, None], Found(None)),
        ([NEW, NEW, None], Found("copy 9")),
        ([NEW, LOST, NEW], Found("copy 9")),
        ([OLD, NEW, NEW], Found("copy 9")),
        ([NEW, LOST, LOST], Unanswered()),
        ([LOST, LOST, None], Unanswered()),
        ([NEW, DAMAGED, NEW], Found("copy 9")),
    ],
)
def test_what_follows_from_the_answers_of_three_replicas(
    held: list[Version | ReplicaStatus | None], verdict: object
) -> None:
    assert quorum(held).verdict() == verdict


def test_so_many_are_asked_as_a_majority_takes_and_another_for_each_that_fails() -> None:
    tally = QuorumRead[str](Placement(document()), FIRST, STORES)
    assert tally.next() == STORES[:2]
    assert tally.next() == ()
    tally.answer(STORES[0], OK, NEW, "copy")
    assert (tally.next(), tally.silent()) == ((), [STORES[1]])
    tally.answer(STORES[1], LOST, ABSENT, None)
    assert (tally.next(), tally.silent()) == (STORES[2:], [STORES[2]])
    assert tally.rest() == ()


def test_where_one_is_late_all_others_can_be_asked() -> None:
    tally = QuorumRead[str](Placement(document()), FIRST, STORES)
    tally.next()
    tally.answer(STORES[0], OK, NEW, "copy")
    assert tally.rest() == STORES[2:]
    assert (tally.next(), tally.rest()) == ((), ())
    assert tally.silent() == list(STORES[1:])


def test_a_version_without_its_copy_vouches_for_the_copy_that_is_here() -> None:
    tally = QuorumRead[str](Placement(document()), FIRST, STORES)
    tally.answer(STORES[0], OK, NEW, "ours")
    assert tally.newest == NEW
    tally.answer(STORES[1], OK, NEW, None)
    assert tally.verdict() == Found("ours")
    tally = QuorumRead[str](Placement(document()), FIRST, STORES)
    tally.answer(STORES[0], OK, NEW, "ours")
    tally.answer(STORES[1], OK, OLD, None)
    assert tally.verdict() == WriteBack("ours", frozenset(STORES[:1]))


def test_damage_is_without_hope_only_where_all_others_are_too_few() -> None:
    first, second, _ = Placement(document()).read_set(FIRST)
    tally = quorum([DAMAGED, LOST, NEW])
    assert tally.verdict() == Unanswered(frozenset({first}))
    tally = quorum([DAMAGED, DAMAGED, NEW])
    assert tally.verdict() == Unanswered(frozenset({first, second}), hopeless=True)


@pytest.mark.parametrize("other", [ABSENT, OLD])
def test_what_less_than_a_write_quorum_holds_is_written_back(other: Version) -> None:
    tally = quorum([other, NEW, None])
    (_, holder, _) = Placement(document()).read_set(FIRST)
    assert tally.verdict() == WriteBack("copy 9", frozenset({holder}))


def test_in_a_change_what_only_the_old_replicas_hold_is_written_back() -> None:
    placement = Placement(joining(document(), "a1"))
    slot = next(s for s in placement.slots if placement.current(s) != placement.target(s))
    (gone,) = set(placement.current(slot)) - set(placement.target(slot))
    kept = min(set(placement.current(slot)) & set(placement.target(slot)))
    answers = [NEW if store in (gone, kept) else None for store in placement.read_set(slot)]
    verdict = quorum(answers, placement, slot).verdict()
    assert verdict == WriteBack("copy 9", frozenset({gone, kept}))


@given(st.lists(st.sampled_from([None, LOST, ABSENT, OLD, NEW]), min_size=3, max_size=3))
def test_a_quorum_read_that_ends_is_answered_only_by_a_majority_and_with_its_newest(
    held: list[Version | ReplicaStatus | None],
) -> None:
    answered = [each for each in held if isinstance(each, bytes)]
    verdict = quorum(held).expire()
    if len(answered) < majority(3):
        assert verdict == Unanswered()
        return
    newest = max(answered)
    copy = None if newest == ABSENT else f"copy {hlc_of(newest)}"
    if newest == ABSENT or answered.count(newest) >= majority(3):
        assert verdict == Found(copy)
    else:
        assert isinstance(verdict, WriteBack)
        assert (verdict.newest, len(verdict.holders)) == (copy, 1)
