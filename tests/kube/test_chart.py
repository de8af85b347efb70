"""The chart, rendered and installed by Helm on a real API server."""

from collections.abc import Iterator

import pytest
import yaml

from localkube.api import Json
from localkube.clock import until
from localkube.controlplane import ControlPlane
from localkube.fixtures import CRD_FILE, fresh_namespace
from localkube.processes import run
from localkube.tools import program

CHART = CRD_FILE.parents[1] / "charts" / "memory-spine"
RELEASE = "memory-spine"
CLUSTER_MODE = ("watch.mode=Cluster",)
CRD_PATH = (
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/memoryspineclusters.memoryspine.io"
)

# verb, group, resource; the first are granted in a watched namespace, the others nowhere.
OURS, CORE = "memoryspine.io", ""
GRANTED = [
    ("patch", OURS, "memoryspineclusters"),
    ("patch", OURS, "memoryspineclusters/status"),
    ("update", OURS, "memoryspineclusters/finalizers"),
    ("create", "apps", "statefulsets"),
    ("watch", CORE, "pods"),
    ("delete", CORE, "persistentvolumeclaims"),
    ("create", CORE, "configmaps"),
    ("get", CORE, "secrets"),
    ("create", "policy", "poddisruptionbudgets"),
    ("create", "networking.k8s.io", "networkpolicies"),
    ("create", "events.k8s.io", "events"),
]
REFUSED = [
    ("update", OURS, "memoryspineclusters"),
    ("create", OURS, "memoryspineclusters"),
    ("patch", OURS, "memoryspineclusters/scale"),
    ("list", CORE, "secrets"),
    ("watch", CORE, "secrets"),
    ("update", CORE, "secrets"),
    ("create", CORE, "pods"),
    ("delete", CORE, "pods"),
    ("create", "batch", "cronjobs"),
    ("create", CORE, "pods/exec"),
    ("create", "rbac.authorization.k8s.io", "roles"),
]
LEASE = ("update", "coordination.k8s.io", "leases")


def namespaces_mode(namespace: str) -> tuple[str, ...]:
    return ("watch.mode=Namespaces", f"watch.namespaces={{{namespace}}}")


def _sets(*values: str) -> list[str]:
    return [f"--set={value}" for value in values]


class Chart:
    """The chart for one namespace of a control plane."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane, self.namespace = plane, namespace

    def helm(self, verb: str, *words: object) -> str:
        config = f"--kubeconfig={self.plane.kubeconfig}"
        return run(program("helm"), verb, *words, config, f"--namespace={self.namespace}")

    def objects(self, *values: str) -> list[Json]:
        """Return what the chart renders, the definition left out."""
        rendered = self.helm("template", RELEASE, CHART, *_sets("crds.install=false", *values))
        return [document for document in yaml.safe_load_all(rendered) if document]

    def install(self, *values: str) -> None:
        self.helm("install", RELEASE, CHART, *_sets("crds.install=false", *values))

    def may(self, verb: str, group: str, resource: str, namespace: str) -> bool:
        """Ask the API server whether the operator's account may do something."""
        resource, _, subresource = resource.partition("/")
        attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{self.namespace}:{RELEASE}",
                "resourceAttributes": {**attributes, "subresource": subresource},
            },
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        allowed: bool = self.plane.api.call("POST", path, review)["status"]["allowed"]
        return allowed

    def rights_in(self, namespace: str) -> set[tuple[str, str, str]]:
        """Return what of all that is asked for in this module the account may do."""
        asked = (*GRANTED, *REFUSED, LEASE)
        return {right for right in asked if self.may(*right, namespace)}


@pytest.fixture
def chart(control_plane: ControlPlane, namespace: str) -> Iterator[Chart]:
    chart = Chart(control_plane, namespace)
    yield chart
    chart.helm("uninstall", RELEASE, "--ignore-not-found")


@pytest.fixture
def other(control_plane: ControlPlane, namespace: str) -> Iterator[str]:
    """A second namespace."""
    yield from fresh_namespace(control_plane.kubectl, f"other-{namespace}")


def test_helm_has_nothing_to_complain_about(chart: Chart) -> None:
    for values in (CLUSTER_MODE, namespaces_mode("agents")):
        chart.helm("lint", CHART, "--strict", *_sets(*values))


def test_the_server_accepts_every_object_strictly(chart: Chart) -> None:
    scan = "watch.scan=true"
    for values in (CLUSTER_MODE, (*namespaces_mode(chart.namespace), scan)):
        for found in chart.objects(*values):
            words = ("--server-side", "--dry-run=server", "--validate=strict", "--filename=-")
            chart.plane.kubectl("apply", *words, stdin=yaml.safe_dump(found))


def test_the_account_may_work_everywhere_in_mode_cluster(chart: Chart, other: str) -> None:
    chart.install(*CLUSTER_MODE)
    assert chart.rights_in(other) == {*GRANTED}
    assert chart.rights_in(chart.namespace) == {*GRANTED, LEASE}


def test_the_account_may_work_only_where_mode_namespaces_says(chart: Chart, other: str) -> None:
    chart.install(*namespaces_mode(other))
    assert chart.rights_in(other) == {*GRANTED}
    assert chart.rights_in(chart.namespace) == {LEASE}


def test_mode_namespaces_asks_for_nothing_cluster_wide(chart: Chart) -> None:
    kinds = {found["kind"] for found in chart.objects(*namespaces_mode("agents"))}
    assert not {kind for kind in kinds if kind.startswith("Cluster")}


@pytest.mark.parametrize("scan", [False, True])
def test_namespaces_are_seen_only_when_asked_for(chart: Chart, *, scan: bool) -> None:
    chart.install(f"watch.scan={str(scan).lower()}")
    assert chart.may("watch", CORE, "namespaces", chart.namespace) is scan
    assert not chart.may("patch", CORE, "namespaces", chart.namespace)


def test_the_operators_pod_is_admitted_to_a_restricted_namespace(chart: Chart) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    chart.plane.kubectl("label", "namespace", chart.namespace, label)
    chart.install()
    path = f"/api/v1/namespaces/{chart.namespace}/pods"
    [pod] = until("the pod", lambda: chart.plane.api.items(path))
    [container] = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["spec"]["securityContext"]["runAsUser"] == 10001


def test_removing_the_chart_keeps_the_definition_and_every_cluster(chart: Chart) -> None:
    cluster: Json = {
        "apiVersion": "memoryspine.io/v1alpha1",
        "kind": "MemorySpineCluster",
        "metadata": {"name": "spine", "namespace": chart.namespace},
        "spec": {"version": "0.1.0", "storage": {"size": "1Gi"}},
    }
    chart.helm("install", RELEASE, CHART, "--take-ownership")  # the fixture has applied it before
    [stored] = chart.plane.kubectl.apply(cluster)
    chart.helm("uninstall", RELEASE)
    definition = chart.plane.api.call("GET", CRD_PATH)
    assert "deletionTimestamp" not in definition["metadata"]
    kept = chart.plane.kubectl.get("msc", "spine", "-n", chart.namespace)
    assert kept["metadata"]["uid"] == stored["metadata"]["uid"]
