"""Which pods and volumes may go: the rules behind I3 and I4, one by one."""

from dataclasses import replace
from typing import Any

import pytest

from kubedouble.fake_cluster import ZONES, FakeKubeCluster
from spine_core.planning.actions import Blocked, Step, Wait
from spine_core.scalars import StoreNumber
from spine_operator.observe.observed import Claim, Observed
from spine_operator.observe.observer import observe
from spine_operator.plan.actions import DeleteClaim, Resize
from spine_operator.plan.planner import plan
from spine_operator.plan.pods import pods_of_new_set, resize, resizes
from spine_operator.plan.volumes import clean_up, recycle, used_seats
from spine_operator.resource.seats import named_seats, pods_for, wanted_by

GONE = "99999999-0000-4000-8000-000000000000"  # a store that has left
STRANGE = "88888888-0000-4000-8000-000000000000"  # a store nobody knows


async def observed_of(replicas: int = 4, **spec: Any) -> Observed:
    fake = FakeKubeCluster(replicas=replicas, topology={"zones": ZONES}, **spec)
    await fake.settle()
    return await observe(fake.resource, fake.ports())


def with_claim(observed: Observed, **fields: Any) -> Observed:
    """Add a claim for the seat spine-b-1, which the document does not name."""
    claim = Claim(name="data-spine-b-1", uid="u", zone="b", size="1Gi", **fields)
    assert observed.document is not None
    document = replace(
        observed.document, retired={**observed.document.retired, StoreNumber(77): GONE}
    )
    claims = {**observed.claims, "spine-b-1": claim}
    return replace(observed, claims=claims, document=document)


def wanting(observed: Observed, nodes: int) -> Any:
    spec = replace(observed.cluster.spec, nodes=nodes)
    return wanted_by(replace(observed.cluster, spec=spec), lambda _seat: None)


async def test_a_zone_keeps_the_pods_of_all_seats_that_the_document_names() -> None:
    observed = await observed_of(4)
    assert pods_for(named_seats(observed.document), "a") == 2
    assert list(resizes(observed, wanting(observed, 3))) == []
    with pytest.raises(AssertionError):
        resize(observed, "a", 1, step=Step.SHRINK)


async def test_a_statefulset_that_was_not_seen_is_made_large_enough_for_all_that_was() -> None:
    observed = with_claim(await observed_of(3), store_id=STRANGE)
    assert pods_of_new_set(observed, wanting(observed, 3), "b") == 2


@pytest.mark.parametrize(
    ("fields", "keep", "action"),
    [
        ({}, False, DeleteClaim),  # never held a member
        ({"store_id": GONE, "delete_after_s": 1}, False, DeleteClaim),
        ({"store_id": GONE, "delete_after_s": 2**40}, False, None),
        ({"store_id": GONE}, False, None),  # first the label, then the wait
        ({"store_id": STRANGE, "delete_after_s": 1}, False, None),
        ({"store_id": GONE, "delete_after_s": 1, "terminating": True}, False, None),
        ({"store_id": GONE, "delete_after_s": 1}, True, None),
        ({}, True, None),
    ],
)
async def test_a_left_over_volume_goes_only_when_its_store_has_left_and_its_time_has_passed(
    fields: dict[str, Any], keep: bool, action: type | None
) -> None:
    observed = with_claim(await observed_of(4), **fields)
    storage = replace(observed.cluster.spec.storage, keep_when_scaled_down=keep)
    spec = replace(observed.cluster.spec, storage=storage)
    observed = replace(observed, cluster=replace(observed.cluster, spec=spec))
    assert observed.document is not None
    _, deletion = clean_up(observed, wanting(observed, 4), observed.document)
    assert (type(deletion) if deletion else None) is action


async def test_the_volume_of_a_member_is_never_left_over() -> None:
    observed = await observed_of(4)
    assert observed.document is not None
    claims = {
        seat: replace(claim, store_id=GONE, delete_after_s=1)
        for seat, claim in observed.claims.items()
    }
    document = replace(observed.document, retired={StoreNumber(77): GONE})
    lying = replace(observed, claims=claims, document=document, pods={}, sets={}, reports={})
    assert clean_up(lying, wanting(observed, 3), document) == (None, None)


@pytest.mark.parametrize(
    ("fields", "keep", "answer"),
    [
        ({}, False, None),  # an empty volume is free
        ({"store_id": GONE}, False, DeleteClaim),
        ({"store_id": GONE}, True, Blocked),
        ({"store_id": STRANGE}, False, Blocked),
    ],
)
async def test_a_joiner_gets_an_empty_volume_or_none(
    fields: dict[str, Any], keep: bool, answer: type | None
) -> None:
    storage = {"size": "1Gi", "whenScaledDown": "Retain" if keep else "Delete"}
    observed = with_claim(await observed_of(4, storage=storage), **fields)
    assert observed.document is not None
    decision = recycle(observed, wanting(observed, 5), observed.document)
    assert (type(decision) if decision else None) is answer


async def test_a_pod_on_a_used_volume_goes_before_the_volume() -> None:
    observed = with_claim(await observed_of(4), store_id=GONE)
    assert observed.document is not None
    sets = {**observed.sets, "b": replace(observed.sets["b"], pods=2)}
    decision = recycle(replace(observed, sets=sets), wanting(observed, 5), observed.document)
    assert isinstance(decision, Resize)
    assert (decision.zone, decision.before, decision.pods) == ("b", 2, 1)
    assert used_seats(observed, wanting(observed, 5), observed.document) == ("spine-b-1",)


async def test_no_volume_goes_while_a_node_is_at_an_older_document() -> None:
    observed = with_claim(await observed_of(4), store_id=GONE, delete_after_s=1)
    assert observed.document is not None
    report = observed.reports["spine-c-0"]
    assert report is not None
    document = replace(observed.document, epoch=2)
    overdue = replace(
        observed,
        document=document,
        reports={
            seat: one if one is None or seat == "spine-c-0" else replace(one, epoch=2)
            for seat, one in observed.reports.items()
        },
    )
    assert overdue.stores.behind == {"spine-c-0": report.store_id}
    assert clean_up(overdue, wanting(overdue, 4), document) == (None, None)
    assert isinstance(recycle(overdue, wanting(overdue, 5), document), Wait)


async def test_the_same_observation_gives_the_same_plan() -> None:
    observed = await observed_of(3)
    wanted = wanting(observed, 6)
    assert plan(observed, wanted) == plan(observed, wanted)
