"""A group of puts is decided as each of its puts would be alone."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from models.clusters import document, joining
from spine_core.records.versions import ABSENT, Version, make_version
from spine_core.replication.put_group_tally import PutGroupTally
from spine_core.replication.put_rules import RefusedPut
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_tally import WriteTally, WriteVerdict
from spine_core.scalars import Hlc, Origin, Slot
from spine_core.topology.placement import Placement

PUTS = 3
OK, LOST = ReplicaStatus.OK, ReplicaStatus.LOST
statuses = st.sampled_from(ReplicaStatus)
versions = st.integers(1, 9).map(lambda n: make_version(Hlc(n), Origin(1)))
refusals = st.dictionaries(st.integers(0, PUTS - 1), st.tuples(statuses, st.none() | versions))
answers = st.lists(st.tuples(statuses, refusals), max_size=4)

Answer = tuple[ReplicaStatus, dict[int, tuple[ReplicaStatus, Version | None]]]


def picture(tally: WriteTally) -> tuple[object, ...]:
    return tally.verdict(), tally.acks, tally.superseded_by, tally.may_have_applied


@given(answers, st.booleans())
def test_each_put_is_decided_as_if_it_had_been_sent_alone(
    given_: Sequence[Answer], changing: bool
) -> None:
    placement = Placement(joining(document(), "a1") if changing else document())
    slot = next(
        s for s in placement.slots if (placement.current(s) != placement.target(s)) is changing
    )
    group = PutGroupTally(placement, slot)
    alone = [WriteTally(placement, slot) for _ in range(PUTS)]
    for store, (status, refused) in zip(group.asked(), given_, strict=False):
        group.answer(store, status, [RefusedPut(n, *why) for n, why in refused.items()])
        for position, tally in enumerate(alone):
            own, held = refused.get(position, (status, None))
            tally.answer(store, own, held or ABSENT)
        assert [picture(group.of(n)) for n in range(PUTS)] == [*map(picture, alone)]
        decided = [n for n, tally in enumerate(alone) if tally.verdict() is not None]
        assert [*group.decided(range(PUTS))] == decided


def test_a_put_whose_time_is_up_may_have_been_applied_and_the_others_go_on() -> None:
    group = PutGroupTally(Placement(document()), Slot(0))
    first, second, _ = group.asked()
    group.answer(first, OK)
    ended = group.expire(1)
    assert (ended.verdict(), ended.may_have_applied) == (WriteVerdict.UNAVAILABLE, True)
    assert group.of(0).verdict() is None
    group.answer(second, OK)
    assert group.of(0).verdict() is WriteVerdict.ACKNOWLEDGED
    assert [*group.decided([0, 2])] == [0, 2]
