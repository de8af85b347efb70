"""A cluster from the published chart and example, on real nodes: load, fault, heal, audit.

One cluster for the file, as the demo makes it; every test leaves it Ready with its three nodes.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from demo import image
from demo.play import NAMESPACE, SYSTEM, ZONES, Play, Settings
from demo.watch import LoadLog, Resource, condition, restarts_of
from localkube import Cluster, leftovers, running, tools
from localkube.api import Json, is_ready
from localkube.clock import now_s, until
from localkube.jobs import Job, outcome
from spine_core.topology.document import Phase

CHANGE_S = 120.0
AUDIT_S = 150.0
FEW = 100  # memories that show that the load runs
REST_S = 20.0
SEATS = ["spine-us-east-1a-0", "spine-us-east-1b-0", "spine-us-east-1c-0"]
PROMISES = ("lost", "failed_requests", "read_your_writes_misses")
KINDS = (
    "memoryspineclusters,statefulsets,pods,persistentvolumeclaims,services,configmaps,secrets,"
    "poddisruptionbudgets,networkpolicies"
)


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Resource]:
    """The quickstart's cluster, Ready; nothing is left of its Kubernetes after."""
    tools.wait_for("nodes")
    images = image.build_all(tmp_path_factory.mktemp("images"))
    root = tmp_path_factory.mktemp("life")
    play = Play(Settings(root=root, keep=False, least=0, rate=0.0))
    with running(root, zones=ZONES, images=list(images.values())) as cluster:
        play._install(cluster)
        yield play._bootstrap(cluster)
        said = cluster.kubectl("logs", "deployment/memory-spine", f"--namespace={SYSTEM}")
        assert "Traceback" not in said, said[-4000:]
    assert leftovers(root) == []


@contextmanager
def load(spine: Resource, name: str) -> Iterator[LoadLog]:
    """Have agents work during the block; then see that none failed and no store lacks anything."""
    job = Job(
        name=name,
        namespace=NAMESPACE,
        image=image.TAG,
        args=[
            *("python3", "-m", "agents", "--service", f"{spine.name}-nodes.{NAMESPACE}.svc"),
            *("--agents", "8", "--rate", "40", "--least", "0"),
        ],
        secrets={
            f"{spine.name}-client": "/secrets/client",
            f"{spine.name}-admin": "/secrets/admin",
        },
    )
    kubectl, log = spine.cluster.kubectl, LoadLog(spine.cluster, NAMESPACE, name)
    kubectl.apply(job.manifest())
    until("the load's pod", lambda: is_ready(pod_of(spine.cluster, NAMESPACE, f"job-name={name}")))
    log.follow()
    until_more(log)
    yield log
    until_more(log)
    pod = pod_of(spine.cluster, NAMESPACE, f"job-name={name}")
    os.kill(spine.cluster.pod_pid(NAMESPACE, pod["metadata"]["name"]), signal.SIGTERM)
    until("the audit", lambda: outcome(kubectl, job), deadline_s=AUDIT_S)
    result = until(f"a result: {log.text[-20:]}", lambda: log.last("result"), deadline_s=10)
    assert result is not None
    assert {promise: result[promise] for promise in PROMISES} == dict.fromkeys(PROMISES, 0), result


def test_at_rest_the_operator_writes_nothing(spine: Resource) -> None:
    seen, since_s, renewed = versions(spine), now_s(), lease_version(spine.cluster)

    def rests() -> bool:
        nonlocal seen, since_s
        if (now := versions(spine)) != seen:
            seen, since_s = now, now_s()
        return now_s() - since_s >= REST_S

    until(f"{REST_S:.0f} s without a write", rests, poll_s=1.0)
    assert lease_version(spine.cluster) != renewed, "it rests, but it lives"


def test_an_operator_killed_in_the_middle_of_a_scale_up_finishes_it(spine: Resource) -> None:
    with load(spine, "scaling"):
        epoch, operator = spine.document().epoch, operator_pod(spine.cluster)
        pid = spine.cluster.pod_pid(SYSTEM, operator["metadata"]["name"])
        scale(spine, 4)
        until("a change", lambda: spine.document().phase is not Phase.STABLE, deadline_s=CHANGE_S)
        os.kill(pid, signal.SIGKILL)
        assert spine.document().phase is not Phase.STABLE, "it was killed in the middle"
        spine.until_ready(nodes=4, deadline_s=CHANGE_S)
        assert restarts_of(operator_pod(spine.cluster)) == restarts_of(operator) + 1
        assert spine.document().epoch == epoch + 3
        scale(spine, 3)
        spine.until_ready(nodes=3, deadline_s=CHANGE_S)
        assert spine.document().epoch == epoch + 6
    assert sorted(spine.document().current) == sorted(spine.pods()) == SEATS


def test_a_zone_loses_power_under_load_and_comes_back(spine: Resource) -> None:
    with load(spine, "dark") as log:
        before = condition(spine.get(), "Available")
        assert before["status"] == "True"
        dark = spare_node(spine, "job-name=dark")
        spine.cluster.node(dark).power_off()
        until("Ready is False", partial(ready_is, spine, "False"))
        until("Kubernetes sees it", lambda: not is_ready(spine.cluster.kubectl.get("node", dark)))
        until_more(log)
        spine.cluster.node(dark).power_on()
        spine.until_ready(nodes=3, deadline_s=CHANGE_S)
        after = condition(spine.get(), "Available")
    assert after["lastTransitionTime"] == before["lastTransitionTime"], "it was True throughout"


def until_more(log: LoadLog) -> None:
    enough = log.acknowledged() + FEW
    until("more memories", lambda: log.acknowledged() >= enough)


def scale(spine: Resource, nodes: int) -> None:
    words = ("msc", spine.name, "-n", spine.namespace, f"--replicas={nodes}")
    spine.cluster.kubectl("scale", *words)


def pod_of(cluster: Cluster, namespace: str, label: str) -> Json:
    """Return the one pod with a label, or nothing while there is none."""
    found = cluster.kubectl.get("pods", "-n", namespace, "-l", label)["items"]
    return next(iter(found), {})


def operator_pod(cluster: Cluster) -> Json:
    return pod_of(cluster, SYSTEM, "app.kubernetes.io/name=memory-spine-operator")


def spare_node(spine: Resource, load_label: str) -> str:
    """Return a Kubernetes node with a seat on it, and neither the operator nor the load."""
    others = (operator_pod(spine.cluster), pod_of(spine.cluster, NAMESPACE, load_label))
    kept = {pod["spec"]["nodeName"] for pod in others}
    seats: set[str] = {pod["spec"]["nodeName"] for pod in spine.pods().values()}
    return min(seats - kept)


def ready_is(spine: Resource, status: str) -> bool:
    return bool(condition(spine.get(), "Ready")["status"] == status)


def versions(spine: Resource) -> dict[str, str]:
    """Return the resourceVersion of the custom resource and of all that belongs to it."""
    label = f"memoryspine.io/cluster={spine.name}"
    children = spine.cluster.kubectl.get(KINDS, "-n", spine.namespace, "-l", label)["items"]
    found: list[Json] = [spine.get(), *children]
    return {
        f"{one['kind']} {one['metadata']['name']}": str(one["metadata"]["resourceVersion"])
        for one in found
    }


def lease_version(cluster: Cluster) -> str:
    lease = cluster.kubectl.get("lease", "memory-spine", "-n", SYSTEM)  # called as the release
    return str(lease["metadata"]["resourceVersion"])
