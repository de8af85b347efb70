"""What the operator does when the cluster is not, or is no longer, what its plan was made on."""

from dataclasses import replace
from typing import Any

import pytest

from kubedouble.fake_cluster import KEY, ZONES, FakeKubeCluster, is_blocked_by
from kubedouble.faults import Fault, FaultPlan
from kubedouble.watchdog import Watchdog
from spine_core.planning.actions import Publish
from spine_operator.execute import OutdatedError, apply, execute
from spine_operator.naming import STORE_LABEL
from spine_operator.observe.observer import observe
from spine_operator.plan.actions import Resize
from spine_operator.plan.planner import plan
from spine_operator.ports import ConflictError, Json, Kind, NodeError
from spine_operator.reconcile import reconcile
from spine_operator.resource.seats import wanted_by

THREE: dict[str, Any] = {"replicas": 3, "topology": {"zones": ZONES}}


async def settled(**spec: Any) -> FakeKubeCluster:
    fake = FakeKubeCluster(**{**THREE, **spec})
    await fake.settle()
    return fake


async def test_retained_data_without_its_document_is_never_begun_anew() -> None:
    fake = await settled()
    fake.kube.remove(Kind.CONFIG_MAP, KEY.namespace, KEY.topology_map)
    for store in fake.stores.values():  # and the nodes come back empty
        store.document = store.cluster_id = store.number = None
    for _ in range(5):
        await fake.reconcile_pass()
    assert fake.find(Kind.CONFIG_MAP, KEY.topology_map) is None


async def test_a_member_with_an_unmarked_volume_is_never_begun_anew() -> None:
    fake = await settled()
    fake.kube.remove(Kind.CONFIG_MAP, KEY.namespace, KEY.topology_map)
    for claim in fake.all(Kind.CLAIM):
        claim["metadata"]["labels"].pop(STORE_LABEL)
    fake.change_spec(replicas=2, replication={"factor": 2})
    for _ in range(5):
        await fake.reconcile_pass()
    assert fake.find(Kind.CONFIG_MAP, KEY.topology_map) is None
    assert len(fake.all(Kind.POD)) == 3


class TouchedAfterTheRead(Watchdog):
    """A `KubePort` under which somebody changes the stored document right after it was read."""

    def __init__(self, fake: FakeKubeCluster) -> None:
        super().__init__(fake)
        self._touched = fake.kube

    async def get(self, kind: Kind, namespace: str, name: str) -> Json:
        answer = await super().get(kind, namespace, name)
        if name == KEY.topology_map:
            self._touched.edit(kind, namespace, name, {"metadata": {"labels": {"moved": "yes"}}})
        return answer


async def test_a_document_that_moved_meanwhile_is_not_overwritten() -> None:
    fake = await settled()
    fake.change_spec(replicas=4)
    await fake.reconcile_pass()
    ports = fake.ports()
    observed = await observe(fake.resource, ports)
    old = plan(observed, wanted_by(observed.cluster, ports.address_of)).decision
    assert isinstance(old, Publish)
    with pytest.raises(ConflictError):  # even when it moves after the last look at it
        await execute(old, observed, replace(ports, kube=TouchedAfterTheRead(fake)))
    assert fake.document.epoch == 1


async def test_without_the_lease_nothing_is_published() -> None:
    fake = FakeKubeCluster(**THREE)
    ports = replace(fake.ports(), lease_held=lambda: False)
    for _ in range(5):
        await fake.reconcile_pass(ports)
    assert fake.find(Kind.CONFIG_MAP, KEY.topology_map) is None
    await fake.settle()


async def test_a_child_of_the_resource_before_is_not_ours() -> None:
    fake = await settled()
    owner = [{"uid": "gone", "controller": True}]
    fake.kube.edit(Kind.BUDGET, KEY.namespace, "spine", {"metadata": {"ownerReferences": owner}})
    result = await reconcile(KEY, fake.uid, fake.ports())
    assert is_blocked_by("NamesFree")(result)


async def test_a_read_that_fails_ends_the_pass_before_any_write() -> None:
    fake = await settled()
    clean = FaultPlan()
    await fake.reconcile_pass(fake.ports(clean))
    for call in clean.reads:
        writes = len(fake.kube.writes)
        await fake.reconcile_pass(fake.ports(FaultPlan(plan={call: Fault.ERROR})))
        told = {kind for _, kind, _ in fake.kube.writes[writes:]}
        assert told <= {Kind.CLUSTER, Kind.EVENT}, f"call {call}: {told}"


async def test_a_statefulset_that_moved_meanwhile_is_not_applied() -> None:
    fake = await settled()
    fake.change_spec(version="1.0.1")
    ports = fake.ports()
    observed = await observe(fake.resource, ports)
    old = plan(observed, wanted_by(observed.cluster, ports.address_of))
    assert len(old.applies) == 3
    for zone in "abc":
        fake.kube.edit(Kind.STATEFULSET, KEY.namespace, f"spine-{zone}", {"spec": {"replicas": 2}})
    for one in old.applies:
        with pytest.raises(ConflictError):
            await apply(one, observed, ports)
    assert {s["spec"]["replicas"] for s in fake.all(Kind.STATEFULSET)} == {2}


@pytest.mark.parametrize("moved", ["document", "spec"])
async def test_no_pod_goes_when_document_or_spec_moved_meanwhile(moved: str) -> None:
    fake = await settled(replicas=4)
    fake.change_spec(replicas=3)
    ports = fake.ports()
    while True:
        observed = await observe(fake.resource, ports)
        decision = plan(observed, wanted_by(observed.cluster, ports.address_of)).decision
        if isinstance(decision, Resize):
            break
        await fake.reconcile_pass()
    if moved == "spec":
        fake.change_spec(replicas=4)
    else:
        labels = {"metadata": {"labels": {"moved": "yes"}}}
        fake.kube.edit(Kind.CONFIG_MAP, KEY.namespace, KEY.topology_map, labels)
    with pytest.raises(OutdatedError):
        await execute(decision, observed, ports)
    assert len(fake.all(Kind.POD)) == 4


async def test_a_document_that_no_node_takes_is_tried_less_and_less() -> None:
    fake = FakeKubeCluster(**THREE)
    fake.nodes.refuses = frozenset({"adopt"})
    while fake.find(Kind.CONFIG_MAP, KEY.topology_map) is None:
        await fake.reconcile_pass()
    for _ in range(2):  # each is a failed pass, which the daemon backs off from
        with pytest.raises(NodeError, match="epoch 1: spine-a-0, spine-b-0, spine-c-0"):
            await reconcile(KEY, fake.uid, fake.ports())
    fake.nodes.refuses = frozenset()
    await fake.settle()
