"""What the answers to a put amount to: quorums of both sides of a change, and no false "no"."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.clusters import document, draining, joining
from spine_core.records.versions import ABSENT, Version, make_version
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_tally import WriteTally, WriteVerdict
from spine_core.scalars import Hlc, Origin, Slot
from spine_core.topology.document import Document
from spine_core.topology.placement import Placement

A = ReplicaStatus
REFUSALS = [a for a in ReplicaStatus if a not in {A.OK, A.ERROR, A.LOST}]
UNDECIDED = None
FIRST = Slot(0)


def a_moved_slot(before: Document) -> tuple[Placement, Slot]:
    """Return a placement in prepare and a slot of which one replica moves."""
    placement = Placement(before)
    moved = next(s for s in placement.slots if placement.current(s) != placement.target(s))
    return placement, moved


def tally_of(
    answers: Sequence[ReplicaStatus | None], placement: Placement, slot: Slot
) -> WriteTally:
    """Return a tally whose write set has answered so, in its order; None has not answered."""
    tally = WriteTally(placement, slot)
    for store, answer in zip(tally.asked(), answers, strict=True):
        if answer is not None:
            tally.answer(store, answer)
    return tally


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([None, None, None], UNDECIDED),
        ([A.OK, None, None], UNDECIDED),
        ([A.OK, A.LOST, None], UNDECIDED),
        ([A.OK, A.OK, None], WriteVerdict.ACKNOWLEDGED),
        ([A.OK, A.OK, A.SUPERSEDED], WriteVerdict.ACKNOWLEDGED),
        ([A.OK, A.OK, A.STRONG], WriteVerdict.ACKNOWLEDGED),
        ([A.OK, A.SUPERSEDED, None], UNDECIDED),
        ([A.OK, A.SUPERSEDED, A.SUPERSEDED], WriteVerdict.RESTAMP),
        ([A.OK, A.LATE, A.LATE], WriteVerdict.RESTAMP),
        ([A.OK, A.STRONG, A.SUPERSEDED], WriteVerdict.REROUTE),
        ([A.OK, A.STRONG, A.STALE_EPOCH], WriteVerdict.NEW_EPOCH),
        ([A.OK, A.NEED_DOCUMENT, A.NEED_DOCUMENT], WriteVerdict.UNAVAILABLE),
        ([A.OK, A.FULL, A.LOST], WriteVerdict.FULL),
        ([A.OK, A.UNREACHABLE, A.BUSY], WriteVerdict.UNAVAILABLE),
        ([A.LOST, A.ERROR, None], WriteVerdict.UNAVAILABLE),
        ([A.CLOCK_SKEW, A.CLOCK_SKEW, A.CLOCK_SKEW], WriteVerdict.UNAVAILABLE),
        ([A.MISDIRECTED, A.MISDIRECTED, None], WriteVerdict.UNAVAILABLE),
    ],
)
def test_what_follows_from_the_answers_of_three_replicas(
    answers: list[ReplicaStatus | None], verdict: WriteVerdict | None
) -> None:
    assert tally_of(answers, Placement(document()), FIRST).verdict() is verdict


@pytest.mark.parametrize(
    "change", [joining(document(), "a1"), draining(document("a0 a1 b0 c0"), "a1")]
)
def test_in_a_change_a_quorum_of_the_old_replicas_alone_is_not_enough(change: Document) -> None:
    placement, slot = a_moved_slot(change)
    (gone,) = set(placement.current(slot)) - set(placement.target(slot))
    (kept, other) = sorted(set(placement.current(slot)) & set(placement.target(slot)))
    tally = WriteTally(placement, slot)
    tally.answer(gone, A.OK)
    tally.answer(kept, A.OK)
    assert tally.verdict() is None
    tally.answer(other, A.OK)
    assert tally.verdict() is WriteVerdict.ACKNOWLEDGED


def test_in_a_change_a_quorum_of_the_new_replicas_alone_is_not_enough() -> None:
    placement, slot = a_moved_slot(joining(document(), "a1"))
    (gained,) = set(placement.target(slot)) - set(placement.current(slot))
    kept = min(set(placement.current(slot)) & set(placement.target(slot)))
    tally = WriteTally(placement, slot)
    tally.answer(gained, A.OK)
    tally.answer(kept, A.OK)
    assert tally.verdict() is None


def test_in_a_change_a_slow_joiner_costs_no_availability() -> None:
    placement, slot = a_moved_slot(joining(document(), "a1"))
    (gained,) = set(placement.target(slot)) - set(placement.current(slot))
    tally = WriteTally(placement, slot)
    tally.answer(gained, A.UNREACHABLE)
    for store in set(placement.current(slot)) & set(placement.target(slot)):
        tally.answer(store, A.OK)
    assert tally.verdict() is WriteVerdict.ACKNOWLEDGED


@given(st.lists(st.sampled_from([None, *ReplicaStatus]), min_size=3, max_size=3))
def test_only_answers_that_all_say_no_make_a_put_not_applied(
    answers: list[ReplicaStatus | None],
) -> None:
    tally = tally_of(answers, Placement(document()), FIRST)
    assert tally.may_have_applied == any(answer not in REFUSALS for answer in answers)


def test_a_replica_that_has_not_answered_may_have_applied() -> None:
    tally = tally_of([A.FULL, A.FULL, None], Placement(document()), FIRST)
    assert tally.verdict() is WriteVerdict.FULL
    assert tally.may_have_applied


@pytest.mark.parametrize("answer", REFUSALS)
def test_a_refusal_by_everybody_was_certainly_not_applied(answer: ReplicaStatus) -> None:
    assert not tally_of([answer] * 3, Placement(document()), FIRST).may_have_applied


@given(st.lists(st.sampled_from([None, *ReplicaStatus]), min_size=3, max_size=3))
def test_an_attempt_that_ends_is_acknowledged_only_by_a_write_quorum(
    answers: list[ReplicaStatus | None],
) -> None:
    tally = tally_of(answers, Placement(document()), FIRST)
    acknowledged = answers.count(A.OK) >= 2
    assert (tally.expire() is WriteVerdict.ACKNOWLEDGED) == acknowledged
    assert tally.may_have_applied or all(answer in REFUSALS for answer in answers)


def test_the_next_stamp_has_to_pass_the_newest_version_that_is_held() -> None:
    tally = WriteTally(Placement(document()), FIRST)
    held = [make_version(Hlc(hlc), Origin(1)) for hlc in (5, 9, 7)]
    for store, version in zip(tally.asked(), held, strict=True):
        tally.answer(store, A.SUPERSEDED, version)
    assert tally.verdict() is WriteVerdict.RESTAMP
    assert tally.superseded_by == held[1]


def test_without_a_newer_version_there_is_nothing_to_pass() -> None:
    tally = tally_of([A.LATE] * 3, Placement(document()), FIRST)
    assert tally.superseded_by == Version(ABSENT)
