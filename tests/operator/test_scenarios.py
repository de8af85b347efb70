"""What the operator does to a cluster, from the first apply to the last delete, on the port double."""

from typing import Any

import pytest

from kubedouble.world import KEY, ZONES, World, is_blocked_by, is_done
from spine_core.topology.document import Phase
from spine_operator.ports import Kind

THREE: dict[str, Any] = {"replicas": 3, "topology": {"zones": ZONES}}


async def settled(**spec: Any) -> World:
    world = World(**{**THREE, **spec})
    await world.settle()
    return world


async def test_a_new_cluster_becomes_ready() -> None:
    world = await settled()
    assert world.document.epoch == 1
    assert sorted(world.document.current) == ["spine-a-0", "spine-b-0", "spine-c-0"]
    assert world.condition("Ready")["status"] == "True"
    assert world.status["joinedReplicas"] == 3
    assert "operation" not in world.status


async def test_a_cluster_without_zones_has_one_called_default() -> None:
    world = World(replicas=3)
    await world.settle()
    assert [z["name"] for z in world.status["zones"]] == ["default"]


async def test_epoch_1_waits_for_every_node() -> None:
    world = World(**THREE)
    world.hold = lambda seat: seat == "spine-b-0"
    for _ in range(10):
        await world.turn()
    assert world.find(Kind.CONFIG_MAP, KEY.topology_map) is None
    assert "spine-b-0" in world.condition("Ready")["message"]
    world.hold = lambda _seat: False
    await world.settle()
    assert world.document.epoch == 1


async def test_a_fourth_node_joins_and_leaves_again_and_nothing_else_changes() -> None:
    world = await settled()
    before = world.end_state()
    world.change_spec(replicas=4)
    await world.settle()
    assert "spine-a-1" in world.document.current
    assert world.document.phase is Phase.STABLE
    world.change_spec(replicas=3, storage={"size": "1Gi", "keepFor": "1s"})
    await world.settle()
    await world.settle(lambda _: world.end_state() == before)


async def test_six_nodes_join_zone_by_zone_and_three_leave() -> None:
    world = await settled()
    world.change_spec(replicas=6)
    await world.settle()
    assert len(world.document.current) == 6
    world.change_spec(replicas=3)
    await world.settle()
    assert sorted(world.document.current) == ["spine-a-0", "spine-b-0", "spine-c-0"]


async def test_a_join_is_taken_back_when_the_spec_is() -> None:
    world = await settled()
    world.nodes.pulling = False
    world.change_spec(replicas=4)
    await world.settle(lambda o: o.status is not None and world.document.phase is Phase.PREPARE)
    world.change_spec(replicas=3)
    world.nodes.pulling = True
    await world.settle()
    assert sorted(world.document.current) == ["spine-a-0", "spine-b-0", "spine-c-0"]
    assert world.document.history[-1].result == "reverted"
    assert [p["metadata"]["name"] for p in world.all(Kind.POD)] == sorted(world.document.current)


async def test_a_drain_is_taken_back_when_the_spec_is_and_the_node_goes_on() -> None:
    world = await settled(replicas=4)
    members = dict(world.document.current)
    world.nodes.pulling = False
    world.change_spec(replicas=3)
    await world.settle(lambda o: o.status is not None and world.document.phase is Phase.PREPARE)
    world.change_spec(replicas=4)
    await world.settle()
    assert world.document.current == members


async def test_a_join_undone_before_it_began_leaves_no_volume() -> None:
    world = await settled()
    world.hold = lambda seat: seat == "spine-a-1"
    world.change_spec(replicas=4)
    await world.settle(lambda _: world.find(Kind.POD, "spine-a-1") is not None)
    world.hold = lambda _seat: False
    world.change_spec(replicas=3)
    await world.settle()
    await world.settle(lambda _: world.find(Kind.CLAIM, "data-spine-a-1") is None)
    assert world.document.epoch == 1


async def test_retired_claim_is_never_joined() -> None:
    world = await settled(replicas=4)
    old = world.nodes.running["spine-a-1"].id
    world.change_spec(replicas=3)
    await world.settle()
    world.change_spec(replicas=4)
    await world.settle()
    new = world.document.stores[world.document.current["spine-a-1"]].id
    assert new != old
    assert old in world.document.retired.values()


async def test_a_kept_volume_blocks_the_seat_until_a_human_deletes_it() -> None:
    world = await settled(replicas=4, storage={"size": "1Gi", "whenScaledDown": "Retain"})
    world.change_spec(replicas=3)
    await world.settle()
    world.change_spec(replicas=4)
    await world.settle(is_blocked_by("VolumeFree"))
    assert world.condition("Stalled")["reason"] == "VolumeRetained"
    assert world.find(Kind.CLAIM, "data-spine-a-1") is not None
    world.kube.remove(Kind.CLAIM, KEY.namespace, "data-spine-a-1")
    await world.settle()
    assert "spine-a-1" in world.document.current


async def test_a_drained_volume_is_kept_for_a_while_and_then_deleted() -> None:
    world = await settled(replicas=4, storage={"size": "1Gi", "keepFor": "1h"})
    world.change_spec(replicas=3)
    await world.settle()
    await world.turn()
    assert [k["claim"] for k in world.status["storage"]["kept"]] == ["data-spine-a-1"]
    world.now_ms += 3_500_000
    await world.turn()
    assert world.find(Kind.CLAIM, "data-spine-a-1") is not None
    world.now_ms += 100_000
    await world.turn()
    assert world.find(Kind.CLAIM, "data-spine-a-1") is None


async def test_a_zone_taken_from_the_spec_is_emptied_and_forgotten() -> None:
    world = await settled(replicas=4, topology={"zones": [*ZONES, {"name": "d"}]})
    world.change_spec(replicas=3, topology={"zones": ZONES})
    await world.settle()
    await world.settle(lambda _: world.find(Kind.STATEFULSET, "spine-d") is None)
    assert sorted(world.document.current) == ["spine-a-0", "spine-b-0", "spine-c-0"]


async def test_a_stalled_pull_is_taken_back_and_tried_again_on_an_empty_volume() -> None:
    world = await settled()
    world.nodes.pulling = False
    world.change_spec(replicas=4)
    await world.settle(lambda o: o.status is not None and world.document.phase is Phase.PREPARE)
    for store in world.stores.values():
        store.idle_s = 700.0
    world.now_ms += 700_000
    await world.settle(lambda _: world.document.phase is Phase.STABLE)
    assert world.document.history[-1].automatic
    world.nodes.pulling = True
    for _ in range(5):
        await world.turn()
    assert world.condition("Stalled")["reason"] == "ChangeStalled"
    world.now_ms += 3_600_000
    await world.settle()
    assert len(world.document.current) == 4


async def test_a_pod_that_was_deleted_comes_back_as_the_same_member() -> None:
    world = await settled()
    before = dict(world.document.current)
    world.kube.remove(Kind.POD, KEY.namespace, "spine-b-0")
    await world.turn()
    await world.settle()
    assert world.document.current == before
    assert world.document.epoch == 1


async def test_a_member_that_does_not_answer_blocks_a_change_and_is_named() -> None:
    world = await settled()
    world.hold = lambda seat: seat == "spine-b-0"
    world.controllers()
    world.change_spec(replicas=4)
    await world.settle(is_blocked_by("MembersVisible"))
    assert world.status["operation"]["blockedBy"]["check"] == "MembersVisible"
    assert world.status["operation"]["blockedBy"]["verdict"] == "Unknown"
    assert world.document.epoch == 1


async def test_suspended_nothing_is_begun_and_nothing_is_pulled() -> None:
    world = await settled(rebalance={"suspend": True})
    world.change_spec(replicas=4)
    await world.settle(is_blocked_by("NotSuspended"))
    assert {store.pace[1] for store in world.stores.values() if store.document} == {0}
    world.change_spec(rebalance={"suspend": False})
    await world.settle()
    assert len(world.document.current) == 4


async def test_paused_nothing_is_touched() -> None:
    world = await settled()
    world.change_spec(replicas=4, maintenance={"paused": True})
    writes = len(world.kube.writes)
    for _ in range(5):
        await world.turn()
    assert {verb for verb, *_ in world.kube.writes[writes:]} <= {"status", "create"}
    assert world.condition("Paused")["status"] == "True"
    assert world.document.epoch == 1


async def test_a_field_that_is_not_built_is_refused_by_its_path() -> None:
    world = World(**THREE, maintenance={"hibernate": True})
    await world.turn()
    assert world.condition("ConfigValid")["status"] == "False"
    assert "spec.maintenance.hibernate" in world.condition("ConfigValid")["message"]
    assert world.condition("Stalled")["reason"] == "ConfigRefused"
    assert world.all(Kind.STATEFULSET) == []


async def test_a_new_template_is_shown_and_restarts_nothing() -> None:
    world = await settled()
    pods = {pod["metadata"]["uid"] for pod in world.all(Kind.POD)}
    world.change_spec(version="1.0.1")
    for _ in range(5):
        await world.turn()
    assert {pod["metadata"]["uid"] for pod in world.all(Kind.POD)} == pods
    assert world.condition("UpdatePending")["status"] == "True"
    assert world.condition("Ready")["reason"] == "RollingOut"
    assert world.condition("Available")["status"] == "True"


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        (Kind.SERVICE, "spine-nodes", {"spec": {"ports": []}}),
        (Kind.SECRET, "spine-admin", {"data": {"token": "eA=="}}),
    ],
)
async def test_names_that_belong_to_somebody_else_are_never_touched(
    kind: Kind, name: str, content: dict[str, Any]
) -> None:
    world = World(**THREE)
    identity = {"apiVersion": "v1", "kind": kind.rpartition("/")[2]}
    foreign = world.kube.add(
        {**identity, "metadata": {"name": name, "namespace": KEY.namespace}, **content}
    )
    await world.turn()
    assert world.condition("Stalled")["reason"] == "NamesTaken"
    assert world.find(kind, name) == foreign
    assert world.all(Kind.STATEFULSET) == []


async def test_no_act_before_the_finalizer_is_there() -> None:
    world = World(**THREE)
    world.resource["metadata"]["finalizers"] = []
    await world.turn()
    assert {kind for _, kind, _ in world.kube.writes} == {Kind.CLUSTER}


async def test_a_lost_document_is_never_written_anew() -> None:
    world = await settled()
    world.kube.remove(Kind.CONFIG_MAP, KEY.namespace, KEY.topology_map)
    for _ in range(5):
        await world.turn()
    assert world.find(Kind.CONFIG_MAP, KEY.topology_map) is None
    assert world.condition("Stalled")["reason"] == "DocumentLost"


async def test_retained_data_is_taken_up_by_a_resource_of_the_same_name() -> None:
    world = await settled()
    before, secrets = world.document, {s["metadata"]["uid"] for s in world.all(Kind.SECRET)}
    resource = world.resource
    world.delete_cluster()
    await world.settle()
    world.controllers()
    assert world.all(Kind.POD) == []
    assert len(world.all(Kind.CLAIM)) == 3
    for name in ("uid", "deletionTimestamp", "resourceVersion"):
        resource["metadata"].pop(name, None)
    resource.pop("status")
    world.kube.add(
        {
            **resource,
            "metadata": {**resource["metadata"], "finalizers": ["memoryspine.io/finalizer"]},
        }
    )
    await world.settle()
    assert world.document == before
    assert {s["metadata"]["uid"] for s in world.all(Kind.SECRET)} == secrets


async def test_deleting_everything_leaves_nothing() -> None:
    world = await settled(storage={"size": "1Gi", "whenDeleted": "Delete"})
    world.delete_cluster()
    await world.settle()
    world.controllers()
    assert [k for k in world.kube.objects if k[0] is not Kind.EVENT] == []


async def test_a_deletion_never_hangs() -> None:
    world = await settled(storage={"size": "1Gi", "whenDeleted": "Delete"})
    claim = world.find(Kind.CLAIM, "data-spine-a-0")
    assert claim is not None
    claim["metadata"]["finalizers"] = ["somebody/else"]
    world.delete_cluster()
    world.kube.now = "2026-01-01T00:00:00Z"
    for _ in range(5):
        await world.turn()
    assert world.find(Kind.CLUSTER, KEY.name) is not None
    world.now_ms += 400_000
    await world.settle()
    notes = [e["note"] for e in world.all(Kind.EVENT) if e["reason"] == "VolumeKept"]
    assert "data-spine-a-0" in notes[0]


@pytest.mark.parametrize("kind", [Kind.SERVICE, Kind.BUDGET, Kind.STATEFULSET])
async def test_a_child_that_was_changed_by_hand_is_set_right(kind: Kind) -> None:
    world = await settled()
    name = world.all(kind)[0]["metadata"]["name"]
    changes: dict[Kind, dict[str, Any]] = {
        Kind.SERVICE: {"spec": {"selector": {"x": "y"}, "ports": []}},
        Kind.BUDGET: {"spec": {"maxUnavailable": 3}},
        Kind.STATEFULSET: {"spec": {"updateStrategy": {"type": "RollingUpdate"}}},
    }
    before = world.all(kind)[0]["spec"]
    world.kube.edit(kind, KEY.namespace, name, changes[kind])
    await world.turn()
    after = world.all(kind)[0]["spec"]
    assert {k: after[k] for k in changes[kind]["spec"] if k != "selector"} == {
        k: before[k] for k in changes[kind]["spec"] if k != "selector"
    }


async def test_the_nodes_certificate_is_renewed_in_the_last_third_of_its_life() -> None:
    world = await settled()
    day_ms = 86_400_000
    before = world.find(Kind.SECRET, "spine-tls")
    world.now_ms += 59 * day_ms
    await world.turn()
    assert world.find(Kind.SECRET, "spine-tls") == before
    world.now_ms += 2 * day_ms
    await world.turn()
    after = world.find(Kind.SECRET, "spine-tls")
    assert before is not None
    assert after is not None
    assert after["data"]["tls.crt"] != before["data"]["tls.crt"]
    assert after["data"]["ca.crt"] == before["data"]["ca.crt"]
    writes = len(world.kube.writes)
    await world.turn()
    await world.turn()
    assert {kind for _, kind, _ in world.kube.writes[writes:]} <= {Kind.CLUSTER}


async def test_steady_state_writes_nothing() -> None:
    world = await settled()
    await world.turn()
    writes = len(world.kube.writes)
    for _ in range(10):
        assert is_done(await world.turn())
    assert world.kube.writes[writes:] == []
