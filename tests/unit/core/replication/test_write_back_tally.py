"""When a read may show what it wrote back: a write quorum holds it, of both sides of a change."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.clusters import document, joining
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_back_tally import WriteBackTally
from spine_core.replication.write_tally import WriteVerdict
from spine_core.scalars import Slot
from spine_core.topology.placement import Placement

R = ReplicaStatus
SLOT = Slot(0)
HAVE_IT = {R.OK, R.SUPERSEDED, R.LATE}


def tally_of(answers: Sequence[ReplicaStatus | None]) -> WriteBackTally:
    """Return a write-back to two of three replicas, which have answered so."""
    placement = Placement(document())
    tally = WriteBackTally(placement, SLOT, {placement.write_set(SLOT)[0]})
    for store, answer in zip(tally.asked(), answers, strict=True):
        if answer is not None:
            tally.answer(store, answer)
    return tally


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([None, None], None),
        ([R.OK, None], WriteVerdict.ACKNOWLEDGED),
        ([R.BUSY, None], None),
        ([R.BUSY, R.OK], WriteVerdict.ACKNOWLEDGED),
        ([R.BUSY, R.LOST], WriteVerdict.UNAVAILABLE),
        ([R.SUPERSEDED, None], WriteVerdict.ACKNOWLEDGED),
    ],
)
def test_what_follows_from_the_answers(
    answers: list[ReplicaStatus | None], verdict: WriteVerdict | None
) -> None:
    assert tally_of(answers).verdict() is verdict


def test_a_replica_that_has_purged_the_tombstone_has_had_it() -> None:
    assert tally_of([R.LATE, None]).verdict() is WriteVerdict.ACKNOWLEDGED


def test_who_holds_the_copy_is_not_asked() -> None:
    placement = Placement(document())
    first, second, third = placement.write_set(SLOT)
    assert set(WriteBackTally(placement, SLOT, {second}).asked()) == {first, third}


def test_in_a_change_the_new_replicas_need_a_quorum_of_their_own() -> None:
    placement = Placement(joining(document(), "a1"))
    slot = next(s for s in placement.slots if placement.current(s) != placement.target(s))
    (gained,) = set(placement.target(slot)) - set(placement.current(slot))
    old = set(placement.current(slot))
    kept = min(old & set(placement.target(slot)))
    gone = next(iter(old - set(placement.target(slot))))
    tally = WriteBackTally(placement, slot, {gone, kept})
    assert tally.verdict() is None
    tally.answer(gained, R.OK)
    assert tally.verdict() is WriteVerdict.ACKNOWLEDGED


@given(st.lists(st.sampled_from([None, *ReplicaStatus]), min_size=2, max_size=2))
def test_a_write_back_that_ends_is_shown_only_if_a_write_quorum_has_it(
    answers: list[ReplicaStatus | None],
) -> None:
    shown = tally_of(answers).expire() is WriteVerdict.ACKNOWLEDGED
    assert shown == any(answer in HAVE_IT for answer in answers)
