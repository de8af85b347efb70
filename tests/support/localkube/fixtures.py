"""pytest fixtures: one control plane and one cluster with nodes per session."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from localkube import tools
from localkube.clock import until
from localkube.cluster import Cluster, running
from localkube.controlplane import ControlPlane
from localkube.images import build_images
from localkube.kubectl import Kubectl
from localkube.leftovers import leftovers

CRD_FILE = Path(__file__).parents[3] / "crds" / "memoryspineclusters.yaml"
NAME_CHARS_MAX = 50  # of the 63 of a namespace: room for what a test appends


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane without nodes, the CRD in place."""
    tools.wait_for("control")
    with ControlPlane(tmp_path_factory.mktemp("control-plane")) as plane:
        install_crd(plane.kubectl)
        yield plane


@pytest.fixture
def namespace(control_plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of this test's own."""
    yield from fresh_namespace(control_plane.kubectl, request.node.name)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Four nodes in the zones a to d, with our images and the CRD; nothing is left of it after."""
    tools.wait_for("nodes")
    archives = build_images(tmp_path_factory.mktemp("images"))
    root = tmp_path_factory.mktemp("cluster")
    with running(root, zones="abcd", images=list(archives.values())) as started:
        install_crd(started.kubectl)
        yield started
    assert leftovers(root) == []


@pytest.fixture
def cluster_namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of this test's own on real nodes."""
    yield from fresh_namespace(cluster.kubectl, request.node.name)


def install_crd(kubectl: Kubectl) -> None:
    """Apply the CRD, strictly validated, and wait until it is served."""
    kubectl("apply", "--server-side", "--validate=strict", "--filename", CRD_FILE)
    until("the CRD served", lambda: _is_established(kubectl))


def _is_established(kubectl: Kubectl) -> bool:
    found = kubectl.get("crd", "memoryspineclusters.memoryspine.io")
    conditions = found.get("status", {}).get("conditions", [])
    return any(it["type"] == "Established" and it["status"] == "True" for it in conditions)


def fresh_namespace(kubectl: Kubectl, test: str) -> Iterator[str]:
    """Make a namespace named like the test; afterwards have it deleted.

    Nobody waits for the end: Kubernetes begins to empty a namespace only after 5 s.
    """
    name = re.sub("[^a-z0-9]+", "-", test.lower().removeprefix("test_"))[:NAME_CHARS_MAX].strip("-")
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")
