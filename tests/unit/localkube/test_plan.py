"""Names and addresses of a cluster with nodes, and the objects made from them."""

from pathlib import Path

import pytest

from localkube.api import Json
from localkube.jobs import Job
from localkube.plan import ClusterPlan
from localkube.volumes import is_to_go, is_to_grow, is_wanted, volume

ROOT = Path("/tmp/lab")


def test_nodes_are_named_by_zone_and_share_no_address() -> None:
    nodes = ClusterPlan.make(ROOT, ["a", "b"], 2).nodes
    assert [node.name for node in nodes] == ["node-a", "node-a-2", "node-b", "node-b-2"]
    assert [node.zone for node in nodes] == ["a", "a", "b", "b"]
    for addresses in ({n.ip for n in nodes}, {n.pod_net for n in nodes}, {n.link for n in nodes}):
        assert len(addresses) == len(nodes)


def test_a_network_link_has_a_name_that_the_kernel_takes() -> None:
    [node] = ClusterPlan.make(ROOT, ["northamerica-northeast1-a"], 1).nodes
    assert len(node.link) <= 15


@pytest.mark.parametrize(
    ("root", "zones"),
    [("/var/lab", ["a"]), ("/run/lab", ["a"]), ("/tmp/" + "x" * 90, ["a"]), ("/tmp/lab", [])],
)
def test_an_impossible_plan_is_refused(root: str, zones: list[str]) -> None:
    with pytest.raises(ValueError, match=r"lies under|characters|between"):
        ClusterPlan.make(Path(root), zones, 1)


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = ClusterPlan.make(tmp_path, ["a", "b"], 3)
    plan.save()
    assert ClusterPlan.load(tmp_path) == plan


def claim(**changes: Json) -> Json:
    return {
        "metadata": {
            "name": "data",
            "namespace": "n",
            "uid": "1-2",
            "annotations": {
                "volume.kubernetes.io/storage-provisioner": "memoryspine.test/directory",
                "volume.kubernetes.io/selected-node": "node-a",
            },
        },
        "spec": {
            "storageClassName": "zonal",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "2Gi"}},
        },
        **changes,
    }


def test_a_claim_is_served_once_the_scheduler_has_chosen_a_node() -> None:
    assert is_wanted(claim())
    assert not is_wanted(claim(metadata={"annotations": {}}))
    assert not is_wanted(claim(spec={"volumeName": "pvc-1"}))


def test_only_a_bound_claim_grows() -> None:
    assert is_to_grow(claim(status={"phase": "Bound", "capacity": {"storage": "1Gi"}}))
    assert not is_to_grow(claim(status={"phase": "Bound", "capacity": {"storage": "2Gi"}}))
    assert not is_to_grow(claim(status={"phase": "Pending"}))


def test_a_volume_goes_only_after_its_claim_and_only_if_it_is_ours() -> None:
    made = volume(claim(), Path("/v"), "topology.kubernetes.io/zone", "a")
    assert not is_to_go({**made, "status": {"phase": "Bound"}})
    assert is_to_go({**made, "status": {"phase": "Released"}})
    foreign = {**made, "metadata": {"name": "x"}}
    assert not is_to_go({**foreign, "status": {"phase": "Released"}})


def test_a_job_runs_once_restricted_with_its_secrets_read_where_asked() -> None:
    secrets = {"tls": "/tls", "key": "/key"}
    job = Job(name="j", namespace="n", image="i", args=["x"], env={"A": "1"}, secrets=secrets)
    spec = job.manifest()["spec"]
    assert spec["backoffLimit"] == 0
    pod = spec["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    sources = {v["name"]: v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
    assert {sources[name]: mounts[name] for name in sources} == secrets
