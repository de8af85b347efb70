"""The control plane of the tests is a real one: it authorizes, schedules and collects garbage."""

from pathlib import Path
from typing import Any

import pytest

from localkube.api import Json
from localkube.clock import until
from localkube.controlplane import ControlPlane
from localkube.errors import CommandError
from localkube.kubectl import Kubectl
from localkube.leftovers import leftovers

CLUSTER: Json = {
    "apiVersion": "memoryspine.io/v1alpha1",
    "kind": "MemorySpineCluster",
    "metadata": {"name": "spine"},
    "spec": {"version": "1.0.0", "storage": {"size": "1Gi"}},
}


def config_map(name: str, namespace: str, **metadata: Any) -> Json:
    named = {"name": name, "namespace": namespace, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named}


def test_a_service_account_may_do_nothing_that_no_role_grants(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.kubectl("create", "serviceaccount", "operator", "-n", namespace)
    kubectl = Kubectl(control_plane.account_kubeconfig(namespace, "operator"))
    assert kubectl("auth", "whoami").split()[-1]
    with pytest.raises(CommandError, match="forbidden"):
        kubectl("get", "memoryspineclusters")


def test_a_cluster_shows_its_columns_and_scales(
    control_plane: ControlPlane, namespace: str
) -> None:
    kubectl = control_plane.kubectl
    kubectl.apply({**CLUSTER, "metadata": {"name": "spine", "namespace": namespace}})
    assert kubectl("get", "msc", "-n", namespace).split()[:4] == [
        "NAME",
        "READY",
        "AVAILABLE",
        "DESIRED",
    ]
    kubectl("scale", "msc/spine", "--replicas=5", "-n", namespace)
    assert kubectl.get("msc", "spine", "-n", namespace)["spec"]["replicas"] == 5
    with pytest.raises(CommandError, match=r"at least replication\.factor"):
        kubectl("scale", "msc/spine", "--replicas=2", "-n", namespace)


def test_what_an_owner_leaves_behind_is_collected(
    control_plane: ControlPlane, namespace: str
) -> None:
    kubectl = control_plane.kubectl
    owner = kubectl.apply(config_map("owner", namespace))[0]
    reference = {key: owner[key] for key in ("apiVersion", "kind")}
    reference |= {key: owner["metadata"][key] for key in ("name", "uid")}
    kubectl.apply(config_map("child", namespace, ownerReferences=[reference]))
    kubectl("delete", "configmap", "owner", "-n", namespace)
    path = f"/api/v1/namespaces/{namespace}/configmaps/child"
    until("child collected", lambda: not control_plane.api.has(path))


def test_a_stopped_control_plane_leaves_nothing_but_logs(tmp_path: Path) -> None:
    with ControlPlane(tmp_path / "plane") as plane:
        assert plane.api.is_ready()
    assert leftovers(tmp_path / "plane") == []
    assert [path.name for path in (tmp_path / "plane").iterdir()] == ["logs"]
