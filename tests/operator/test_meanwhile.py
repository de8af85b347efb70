"""What the operator does when the world is not, or is no longer, what its plan was made on."""

from dataclasses import replace
from typing import Any

import pytest

from kubedouble.faults import Fault, Faults
from kubedouble.watchdog import Watchdog
from kubedouble.world import KEY, ZONES, World, is_blocked_by
from spine_core.planning.actions import Publish
from spine_core.topology.document import Document
from spine_operator.execute import OutdatedError, apply, perform
from spine_operator.naming import STORE_LABEL
from spine_operator.observe.observer import observe
from spine_operator.plan.actions import Resize
from spine_operator.plan.planner import plan
from spine_operator.ports import ConflictError, Door, Json, Kind, NodeError
from spine_operator.reconcile import reconcile
from spine_operator.resource.seats import wanted_by

THREE: dict[str, Any] = {"replicas": 3, "topology": {"zones": ZONES}}


async def settled(**spec: Any) -> World:
    world = World(**{**THREE, **spec})
    await world.settle()
    return world


async def test_retained_data_without_its_document_is_never_begun_anew() -> None:
    world = await settled()
    world.kube.remove(Kind.CONFIG_MAP, KEY.namespace, KEY.topology_map)
    for store in world.stores.values():  # and the nodes come back empty
        store.document = store.cluster_id = store.number = None
    for _ in range(5):
        await world.turn()
    assert world.find(Kind.CONFIG_MAP, KEY.topology_map) is None


async def test_a_member_with_an_unmarked_volume_is_never_begun_anew() -> None:
    world = await settled()
    world.kube.remove(Kind.CONFIG_MAP, KEY.namespace, KEY.topology_map)
    for claim in world.all(Kind.CLAIM):
        claim["metadata"]["labels"].pop(STORE_LABEL)
    world.change_spec(replicas=2, replication={"factor": 2})
    for _ in range(5):
        await world.turn()
    assert world.find(Kind.CONFIG_MAP, KEY.topology_map) is None
    assert len(world.all(Kind.POD)) == 3


class TouchedAfterTheRead(Watchdog):
    """A `KubePort` under which somebody changes the stored document right after it was read."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._touched = world.kube

    async def get(self, kind: Kind, namespace: str, name: str) -> Json:
        answer = await super().get(kind, namespace, name)
        if name == KEY.topology_map:
            self._touched.edit(kind, namespace, name, {"metadata": {"labels": {"moved": "yes"}}})
        return answer


async def test_a_document_that_moved_meanwhile_is_not_overwritten() -> None:
    world = await settled()
    world.change_spec(replicas=4)
    await world.turn()
    ports = world.ports()
    observed = await observe(world.resource, ports)
    old = plan(observed, wanted_by(observed.cluster, ports.address_of)).decision
    assert isinstance(old, Publish)
    with pytest.raises(ConflictError):  # even when it moves after the last look at it
        await perform(old, observed, replace(ports, kube=TouchedAfterTheRead(world)))
    assert world.document.epoch == 1


async def test_without_the_lease_nothing_is_published() -> None:
    world = World(**THREE)
    ports = replace(world.ports(), lease_held=lambda: False)
    for _ in range(5):
        await world.turn(ports)
    assert world.find(Kind.CONFIG_MAP, KEY.topology_map) is None
    await world.settle()


async def test_a_child_of_the_resource_before_is_not_ours() -> None:
    world = await settled()
    owner = [{"uid": "gone", "controller": True}]
    world.kube.edit(Kind.BUDGET, KEY.namespace, "spine", {"metadata": {"ownerReferences": owner}})
    outcome = await reconcile(KEY, world.uid, world.ports())
    assert is_blocked_by("NamesFree")(outcome)


async def test_a_read_that_fails_ends_the_turn_before_any_write() -> None:
    world = await settled()
    clean = Faults()
    await world.turn(world.ports(clean))
    for call in clean.reads:
        writes = len(world.kube.writes)
        await world.turn(world.ports(Faults(plan={call: Fault.ERROR})))
        told = {kind for _, kind, _ in world.kube.writes[writes:]}
        assert told <= {Kind.CLUSTER, Kind.EVENT}, f"call {call}: {told}"


async def test_a_statefulset_that_moved_meanwhile_is_not_applied() -> None:
    world = await settled()
    world.change_spec(version="1.0.1")
    ports = world.ports()
    observed = await observe(world.resource, ports)
    old = plan(observed, wanted_by(observed.cluster, ports.address_of))
    assert len(old.applies) == 3
    for zone in "abc":
        world.kube.edit(Kind.STATEFULSET, KEY.namespace, f"spine-{zone}", {"spec": {"replicas": 2}})
    for one in old.applies:
        with pytest.raises(ConflictError):
            await apply(one, observed, ports)
    assert {s["spec"]["replicas"] for s in world.all(Kind.STATEFULSET)} == {2}


@pytest.mark.parametrize("moved", ["document", "spec"])
async def test_no_pod_goes_when_document_or_spec_moved_meanwhile(moved: str) -> None:
    world = await settled(replicas=4)
    world.change_spec(replicas=3)
    ports = world.ports()
    while True:
        observed = await observe(world.resource, ports)
        decision = plan(observed, wanted_by(observed.cluster, ports.address_of)).decision
        if isinstance(decision, Resize):
            break
        await world.turn()
    if moved == "spec":
        world.change_spec(replicas=4)
    else:
        labels = {"metadata": {"labels": {"moved": "yes"}}}
        world.kube.edit(Kind.CONFIG_MAP, KEY.namespace, KEY.topology_map, labels)
    with pytest.raises(OutdatedError):
        await perform(decision, observed, ports)
    assert len(world.all(Kind.POD)) == 4


async def test_a_document_that_no_node_takes_is_tried_less_and_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(door: Door, _store_id: str, _document: Document) -> None:
        raise NodeError(f"{door.seat}: its disk is full")

    world = World(**THREE)
    monkeypatch.setattr(world.nodes, "adopt", refuse)
    while world.find(Kind.CONFIG_MAP, KEY.topology_map) is None:
        await world.turn()
    for _ in range(2):  # each is a failed turn, which the daemon backs off from
        with pytest.raises(NodeError, match="epoch 1: spine-a-0, spine-b-0, spine-c-0"):
            await reconcile(KEY, world.uid, world.ports())
    monkeypatch.undo()
    await world.settle()
