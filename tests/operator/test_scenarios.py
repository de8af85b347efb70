"""What the operator does to a cluster, from the first apply to the last delete, on the port double."""

from typing import Any

import pytest

from kubedouble.fake_cluster import KEY, ZONES, FakeKubeCluster, is_blocked_by, is_done
from spine_core.topology.document import Phase
from spine_operator.ports import Kind

THREE: dict[str, Any] = {"replicas": 3, "topology": {"zones": ZONES}}


async def settled(**spec: Any) -> FakeKubeCluster:
    fake = FakeKubeCluster(**{**THREE, **spec})
    await fake.settle()
    return fake


async def test_a_new_cluster_becomes_ready() -> None:
    fake = await settled()
    assert fake.document.epoch == 1
    assert sorted(fake.document.current) == ["spine-a-0", "spine-b-0", "spine-c-0"]
    assert fake.condition("Ready")["status"] == "True"
    assert fake.status["joinedReplicas"] == 3
    assert "operation" not in fake.status


async def test_a_cluster_without_zones_has_one_called_default() -> None:
    fake = FakeKubeCluster(replicas=3)
    await fake.settle()
    assert [z["name"] for z in fake.status["zones"]] == ["default"]


async def test_epoch_1_waits_for_every_node() -> None:
    fake = FakeKubeCluster(**THREE)
    fake.held_back = {"spine-b-0"}
    for _ in range(10):
        await fake.reconcile_pass()
    assert fake.find(Kind.CONFIG_MAP, KEY.topology_map) is None
    assert "spine-b-0" in fake.condition("Ready")["message"]
    fake.held_back = set()
    await fake.settle()
    assert fake.document.epoch == 1


async def test_a_fourth_node_joins_and_leaves_again_and_nothing_else_changes() -> None:
    fake = await settled()
    before = fake.end_state()
    fake.change_spec(replicas=4)
    await fake.settle()
    assert "spine-a-1" in fake.document.current
    assert fake.document.phase is Phase.STABLE
    fake.change_spec(replicas=3, storage={"size": "1Gi", "keepFor": "1s"})
    await fake.settle()
    await fake.settle(lambda _: fake.end_state() == before)


async def test_six_nodes_join_zone_by_zone_and_three_leave() -> None:
    fake = await settled()
    fake.change_spec(replicas=6)
    await fake.settle()
    assert len(fake.document.current) == 6
    fake.change_spec(replicas=3)
    await fake.settle()
    assert sorted(fake.document.current) == ["spine-a-0", "spine-b-0", "spine-c-0"]


async def test_a_join_is_taken_back_when_the_spec_is() -> None:
    fake = await settled()
    fake.nodes.pulling = False
    fake.change_spec(replicas=4)
    await fake.settle(lambda o: o.status is not None and fake.document.phase is Phase.PREPARE)
    fake.change_spec(replicas=3)
    fake.nodes.pulling = True
    await fake.settle()
    assert sorted(fake.document.current) == ["spine-a-0", "spine-b-0", "spine-c-0"]
    assert fake.document.history[-1].result == "reverted"
    assert [p["metadata"]["name"] for p in fake.all(Kind.POD)] == sorted(fake.document.current)


async def test_a_drain_is_taken_back_when_the_spec_is_and_the_node_goes_on() -> None:
    fake = await settled(replicas=4)
    members = dict(fake.document.current)
    fake.nodes.pulling = False
    fake.change_spec(replicas=3)
    await fake.settle(lambda o: o.status is not None and fake.document.phase is Phase.PREPARE)
    fake.change_spec(replicas=4)
    await fake.settle()
    assert fake.document.current == members


async def test_a_join_undone_before_it_began_leaves_no_volume() -> None:
    fake = await settled()
    fake.held_back = {"spine-a-1"}
    fake.change_spec(replicas=4)
    await fake.settle(lambda _: fake.find(Kind.POD, "spine-a-1") is not None)
    fake.held_back = set()
    fake.change_spec(replicas=3)
    await fake.settle()
    await fake.settle(lambda _: fake.find(Kind.CLAIM, "data-spine-a-1") is None)
    assert fake.document.epoch == 1


async def test_retired_claim_is_never_joined() -> None:
    fake = await settled(replicas=4)
    old = fake.nodes.running["spine-a-1"].id
    fake.change_spec(replicas=3)
    await fake.settle()
    fake.change_spec(replicas=4)
    await fake.settle()
    new = fake.document.stores[fake.document.current["spine-a-1"]].id
    assert new != old
    assert old in fake.document.retired.values()


async def test_a_kept_volume_blocks_the_seat_until_a_human_deletes_it() -> None:
    fake = await settled(replicas=4, storage={"size": "1Gi", "whenScaledDown": "Retain"})
    fake.change_spec(replicas=3)
    await fake.settle()
    fake.change_spec(replicas=4)
    await fake.settle(is_blocked_by("VolumeFree"))
    assert fake.condition("Stalled")["reason"] == "VolumeRetained"
    assert fake.find(Kind.CLAIM, "data-spine-a-1") is not None
    fake.kube.remove(Kind.CLAIM, KEY.namespace, "data-spine-a-1")
    await fake.settle()
    assert "spine-a-1" in fake.document.current


async def test_a_drained_volume_is_kept_for_a_while_and_then_deleted() -> None:
    fake = await settled(replicas=4, storage={"size": "1Gi", "keepFor": "1h"})
    fake.change_spec(replicas=3)
    await fake.settle()
    await fake.reconcile_pass()
    assert [k["claim"] for k in fake.status["storage"]["kept"]] == ["data-spine-a-1"]
    fake.now_ms += 3_500_000
    await fake.reconcile_pass()
    assert fake.find(Kind.CLAIM, "data-spine-a-1") is not None
    fake.now_ms += 100_000
    await fake.reconcile_pass()
    assert fake.find(Kind.CLAIM, "data-spine-a-1") is None


async def test_a_zone_taken_from_the_spec_is_emptied_and_forgotten() -> None:
    fake = await settled(replicas=4, topology={"zones": [*ZONES, {"name": "d"}]})
    fake.change_spec(replicas=3, topology={"zones": ZONES})
    await fake.settle()
    await fake.settle(lambda _: fake.find(Kind.STATEFULSET, "spine-d") is None)
    assert sorted(fake.document.current) == ["spine-a-0", "spine-b-0", "spine-c-0"]


async def test_a_stalled_pull_is_taken_back_and_tried_again_on_an_empty_volume() -> None:
    fake = await settled()
    fake.nodes.pulling = False
    fake.change_spec(replicas=4)
    await fake.settle(lambda o: o.status is not None and fake.document.phase is Phase.PREPARE)
    for store in fake.stores.values():
        store.idle_s = 700.0
    fake.now_ms += 700_000
    await fake.settle(lambda _: fake.document.phase is Phase.STABLE)
    assert fake.document.history[-1].automatic
    fake.nodes.pulling = True
    for _ in range(5):
        await fake.reconcile_pass()
    assert fake.condition("Stalled")["reason"] == "ChangeStalled"
    fake.now_ms += 3_600_000
    await fake.settle()
    assert len(fake.document.current) == 4


async def test_a_pod_that_was_deleted_comes_back_as_the_same_member() -> None:
    fake = await settled()
    before = dict(fake.document.current)
    fake.kube.remove(Kind.POD, KEY.namespace, "spine-b-0")
    await fake.reconcile_pass()
    await fake.settle()
    assert fake.document.current == before
    assert fake.document.epoch == 1


async def test_a_member_that_does_not_answer_blocks_a_change_and_is_named() -> None:
    fake = await settled()
    fake.held_back = {"spine-b-0"}
    fake.controllers()
    fake.change_spec(replicas=4)
    await fake.settle(is_blocked_by("MembersVisible"))
    assert fake.status["operation"]["blockedBy"]["check"] == "MembersVisible"
    assert fake.status["operation"]["blockedBy"]["verdict"] == "Unknown"
    assert fake.document.epoch == 1


async def test_suspended_nothing_is_begun_and_nothing_is_pulled() -> None:
    fake = await settled(rebalance={"suspend": True})
    fake.change_spec(replicas=4)
    await fake.settle(is_blocked_by("NotSuspended"))
    assert {store.pace[1] for store in fake.stores.values() if store.document} == {0}
    fake.change_spec(rebalance={"suspend": False})
    await fake.settle()
    assert len(fake.document.current) == 4


async def test_paused_nothing_is_touched() -> None:
    fake = await settled()
    fake.change_spec(replicas=4, maintenance={"paused": True})
    writes = len(fake.kube.writes)
    for _ in range(5):
        await fake.reconcile_pass()
    assert {verb for verb, *_ in fake.kube.writes[writes:]} <= {"status", "create"}
    assert fake.condition("Paused")["status"] == "True"
    assert fake.document.epoch == 1


async def test_a_field_that_is_not_built_is_refused_by_its_path() -> None:
    fake = FakeKubeCluster(**THREE, maintenance={"hibernate": True})
    await fake.reconcile_pass()
    assert fake.condition("ConfigValid")["status"] == "False"
    assert "spec.maintenance.hibernate" in fake.condition("ConfigValid")["message"]
    assert fake.condition("Stalled")["reason"] == "ConfigRefused"
    assert fake.all(Kind.STATEFULSET) == []


async def test_a_new_template_is_shown_and_restarts_nothing() -> None:
    fake = await settled()
    pods = {pod["metadata"]["uid"] for pod in fake.all(Kind.POD)}
    fake.change_spec(version="1.0.1")
    for _ in range(5):
        await fake.reconcile_pass()
    assert {pod["metadata"]["uid"] for pod in fake.all(Kind.POD)} == pods
    assert fake.condition("UpdatePending")["status"] == "True"
    assert fake.condition("Ready")["reason"] == "RollingOut"
    assert fake.condition("Available")["status"] == "True"


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
    fake = FakeKubeCluster(**THREE)
    identity = {"apiVersion": "v1", "kind": kind.rpartition("/")[2]}
    foreign = fake.kube.add(
        {**identity, "metadata": {"name": name, "namespace": KEY.namespace}, **content}
    )
    await fake.reconcile_pass()
    assert fake.condition("Stalled")["reason"] == "NamesTaken"
    assert fake.find(kind, name) == foreign
    assert fake.all(Kind.STATEFULSET) == []


async def test_no_action_before_the_finalizer_is_there() -> None:
    fake = FakeKubeCluster(**THREE)
    fake.resource["metadata"]["finalizers"] = []
    await fake.reconcile_pass()
    assert {kind for _, kind, _ in fake.kube.writes} == {Kind.CLUSTER}


async def test_a_lost_document_is_never_written_anew() -> None:
    fake = await settled()
    fake.kube.remove(Kind.CONFIG_MAP, KEY.namespace, KEY.topology_map)
    for _ in range(5):
        await fake.reconcile_pass()
    assert fake.find(Kind.CONFIG_MAP, KEY.topology_map) is None
    assert fake.condition("Stalled")["reason"] == "DocumentLost"


async def test_retained_data_is_taken_up_by_a_resource_of_the_same_name() -> None:
    fake = await settled()
    before, secrets = fake.document, {s["metadata"]["uid"] for s in fake.all(Kind.SECRET)}
    resource = fake.resource
    fake.delete_cluster()
    await fake.settle()
    fake.controllers()
    assert fake.all(Kind.POD) == []
    assert len(fake.all(Kind.CLAIM)) == 3
    for name in ("uid", "deletionTimestamp", "resourceVersion"):
        resource["metadata"].pop(name, None)
    resource.pop("status")
    fake.kube.add(
        {
            **resource,
            "metadata": {**resource["metadata"], "finalizers": ["memoryspine.io/finalizer"]},
        }
    )
    await fake.settle()
    assert fake.document == before
    assert {s["metadata"]["uid"] for s in fake.all(Kind.SECRET)} == secrets


async def test_deleting_everything_leaves_nothing() -> None:
    fake = await settled(storage={"size": "1Gi", "whenDeleted": "Delete"})
    fake.delete_cluster()
    await fake.settle()
    fake.controllers()
    assert [k for k in fake.kube.objects if k[0] is not Kind.EVENT] == []


async def test_a_deletion_never_hangs() -> None:
    fake = await settled(storage={"size": "1Gi", "whenDeleted": "Delete"})
    claim = fake.find(Kind.CLAIM, "data-spine-a-0")
    assert claim is not None
    claim["metadata"]["finalizers"] = ["somebody/else"]
    fake.delete_cluster()
    fake.kube.now = "2026-01-01T00:00:00Z"
    for _ in range(5):
        await fake.reconcile_pass()
    assert fake.find(Kind.CLUSTER, KEY.name) is not None
    fake.now_ms += 400_000
    await fake.settle()
    notes = [e["note"] for e in fake.all(Kind.EVENT) if e["reason"] == "VolumeKept"]
    assert "data-spine-a-0" in notes[0]


@pytest.mark.parametrize("kind", [Kind.SERVICE, Kind.BUDGET, Kind.STATEFULSET])
async def test_a_child_that_was_changed_by_hand_is_set_right(kind: Kind) -> None:
    fake = await settled()
    name = fake.all(kind)[0]["metadata"]["name"]
    changes: dict[Kind, dict[str, Any]] = {
        Kind.SERVICE: {"spec": {"selector": {"x": "y"}, "ports": []}},
        Kind.BUDGET: {"spec": {"maxUnavailable": 3}},
        Kind.STATEFULSET: {"spec": {"updateStrategy": {"type": "RollingUpdate"}}},
    }
    before = fake.all(kind)[0]["spec"]
    fake.kube.edit(kind, KEY.namespace, name, changes[kind])
    await fake.reconcile_pass()
    after = fake.all(kind)[0]["spec"]
    assert {k: after[k] for k in changes[kind]["spec"] if k != "selector"} == {
        k: before[k] for k in changes[kind]["spec"] if k != "selector"
    }


async def test_the_nodes_certificate_is_renewed_in_the_last_third_of_its_life() -> None:
    fake = await settled()
    day_ms = 86_400_000
    before = fake.find(Kind.SECRET, "spine-tls")
    fake.now_ms += 59 * day_ms
    await fake.reconcile_pass()
    assert fake.find(Kind.SECRET, "spine-tls") == before
    fake.now_ms += 2 * day_ms
    await fake.reconcile_pass()
    after = fake.find(Kind.SECRET, "spine-tls")
    assert before is not None
    assert after is not None
    assert after["data"]["tls.crt"] != before["data"]["tls.crt"]
    assert after["data"]["ca.crt"] == before["data"]["ca.crt"]
    writes = len(fake.kube.writes)
    await fake.reconcile_pass()
    await fake.reconcile_pass()
    assert {kind for _, kind, _ in fake.kube.writes[writes:]} <= {Kind.CLUSTER}


async def test_steady_state_writes_nothing() -> None:
    fake = await settled()
    await fake.reconcile_pass()
    writes = len(fake.kube.writes)
    for _ in range(10):
        assert is_done(await fake.reconcile_pass())
    assert fake.kube.writes[writes:] == []
