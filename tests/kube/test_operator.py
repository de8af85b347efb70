"""The operator as a process: real API server, rights from the chart, real nodes behind the pods."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from localkube.clock import until
from localkube.controlplane import ControlPlane
from localkube.fixtures import install_crd
from operatorlab.lab import Lab


@pytest.fixture
def lab(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Lab]:
    with Lab(control_plane, namespace, tmp_path) as lab:
        lab.start_operator()
        yield lab


def assert_clean(lab: Lab) -> None:
    log = lab.log.read_text()
    assert "Traceback" not in log, log[-4000:]
    assert '"level": "error"' not in log, log[-4000:]


def test_a_cluster_starts_grows_shrinks_and_goes(lab: Lab) -> None:
    lab.wait_ready(lab.apply(replicas=3)["metadata"]["generation"])
    assert lab.document()["epoch"] == 1
    assert lab.healthy()
    lab.wait_ready(lab.apply(replicas=4)["metadata"]["generation"])
    assert "spine-a-1" in lab.document()["current"]
    lab.wait_ready(lab.apply(replicas=3)["metadata"]["generation"])
    assert sorted(lab.document()["current"]) == ["spine-a-0", "spine-b-0", "spine-c-0"]
    lab.kubectl("delete", "msc", "spine", "-n", lab.namespace, "--timeout=60s")
    until("pods collected", lambda: not lab.items("statefulsets"))
    assert len(lab.items("persistentvolumeclaims")) == 4
    assert lab.stop_operator() == 0
    assert_clean(lab)


def test_everything_is_deleted_when_the_spec_says_so(lab: Lab) -> None:
    storage = {"size": "1Gi", "whenDeleted": "Delete"}
    lab.wait_ready(lab.apply(replicas=3, storage=storage)["metadata"]["generation"])
    lab.kubectl("delete", "msc", "spine", "-n", lab.namespace, "--timeout=90s")
    for plural in ("persistentvolumeclaims", "secrets", "configmaps"):
        until(f"no {plural}", partial(_none_left, lab, plural))
    assert_clean(lab)


def test_at_rest_nothing_is_written_and_only_our_fields_are_ours(lab: Lab) -> None:
    lab.wait_ready(lab.apply(replicas=3)["metadata"]["generation"])
    lab.run_passes(2)
    writes = lab.writes()
    lab.run_passes(10)
    assert lab.writes() == writes
    for manager in lab.resource()["metadata"].get("managedFields", []):
        if manager["manager"] == "memoryspine-operator":
            assert "f:spec" not in manager["fieldsV1"]
            assert "f:annotations" not in manager["fieldsV1"].get("f:metadata", {})


def test_killed_and_started_again_in_the_middle_of_a_change(lab: Lab) -> None:
    lab.wait_ready(lab.apply(replicas=3)["metadata"]["generation"])
    generation = lab.apply(replicas=4)["metadata"]["generation"]
    for epoch in (2, 3):
        until("the next epoch", partial(_tended_to, lab, epoch))
        lab.kill_operator()
        lab.start_operator()
    lab.wait_ready(generation)
    assert len(lab.document()["current"]) == 4
    assert lab.document()["epoch"] == 4


def test_one_operator_for_all_namespaces(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    with Lab(control_plane, namespace, tmp_path, everywhere=True) as lab:
        lab.start_operator()
        lab.wait_ready(lab.apply(replicas=3)["metadata"]["generation"])
        assert lab.stop_operator() == 0


def test_an_operator_may_be_there_before_its_definition(tmp_path: Path) -> None:
    with ControlPlane(tmp_path / "plane") as plane:
        [namespace] = plane.kubectl.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "early"}}
        )
        with Lab(plane, namespace["metadata"]["name"], tmp_path) as lab:
            lab.start_operator()
            until("a start that waits", lambda: "not_served_yet" in lab.log.read_text())
            install_crd(plane.kubectl)
            lab.wait_ready(lab.apply(replicas=3)["metadata"]["generation"])
            assert lab.stop_operator() == 0
            assert_clean(lab)


def _none_left(lab: Lab, plural: str) -> bool:
    return not lab.items(plural)


def _tended_to(lab: Lab, epoch: int) -> bool:
    lab.tend()
    return bool(lab.document()["epoch"] >= epoch)
