"""The machine under the end-to-end tests: real nodes, and faults that are what they say."""

import contextlib
import http.client
import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from localkube import Cluster, leftovers, running
from localkube.api import Json, is_ready
from localkube.clock import until
from localkube.errors import CommandError
from localkube.fixtures import fresh_namespace
from localkube.images.project import tag
from localkube.jobs import CONTAINER_SECURITY, POD_SECURITY, Job

PORT = 8788
# Counts its starts on its volume, and tells them to whoever asks.
PROGRAM = """
import http.server, pathlib
import lmdb, aiohttp, uvloop
file = pathlib.Path("/data/starts")
starts = int(file.read_text()) + 1 if file.exists() else 1
file.write_text(str(starts))

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = str(starts).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("", 8788), Handler).serve_forever()
"""
ASK = """
import os, sys, urllib.request
answer = urllib.request.urlopen(sys.argv[1], timeout=5).read().decode()
print(answer, open("/secrets/k").read(), os.environ["WORD"])
"""


def stateful_set(zone: str) -> Json:
    labels = {"app": "counter"}
    container = {
        "name": "counter",
        "image": tag("node"),
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", PROGRAM],
        "securityContext": CONTAINER_SECURITY,
        "readinessProbe": {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    pod = {
        "nodeSelector": {"topology.kubernetes.io/zone": zone},
        "terminationGracePeriodSeconds": 1,
        "securityContext": POD_SECURITY,
        "containers": [container],
    }
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "counter"},
        "spec": {
            "serviceName": "counter",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
            "volumeClaimTemplates": [claim],
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
        },
    }


SERVICE: Json = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "counter"},
    "spec": {"selector": {"app": "counter"}, "ports": [{"port": PORT}]},
}


class Counter:
    """The counting pod in one namespace."""

    def __init__(self, cluster: Cluster, namespace: str, zone: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        cluster.kubectl.apply(
            *(
                {**document, "metadata": {"name": "counter", "namespace": namespace}}
                for document in (stateful_set(zone), SERVICE)
            )
        )
        self.until_ready()
        service = cluster.service_ip(namespace, "counter")
        self.address = f"127.0.0.1:{cluster.relay(service, PORT)}"

    def pod(self) -> Json:
        return self.cluster.kubectl.get("pod", "counter-0", "-n", self.namespace)

    def until_ready(self) -> None:
        until("the counter ready", lambda: self.exists() and is_ready(self.pod()))

    def exists(self) -> bool:
        return self.cluster.api.has(f"/api/v1/namespaces/{self.namespace}/pods/counter-0")

    def starts(self) -> int:
        def ask() -> str:
            try:
                with urllib.request.urlopen(f"http://{self.address}", timeout=2) as reply:
                    return str(reply.read().decode())
            except OSError:  # kube-proxy is a moment behind the pod
                return ""

        return int(until("an answer", ask))

    def restarts(self) -> int:
        return int(self.pod()["status"]["containerStatuses"][0]["restartCount"])


@pytest.fixture(scope="module")
def counter(cluster: Cluster) -> Iterator[Counter]:
    """One pod for all tests of this file; each leaves it ready."""
    for namespace in fresh_namespace(cluster.kubectl, "counter"):
        yield Counter(cluster, namespace, "b")


def node_ready(cluster: Cluster, name: str) -> bool:
    return is_ready(cluster.kubectl.get("node", name))


def test_every_zone_has_a_ready_node_with_our_images(cluster: Cluster) -> None:
    nodes = cluster.kubectl.get("nodes")["items"]
    assert [node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes] == [
        *"abcd"
    ]
    assert all(is_ready(node) for node in nodes)
    for node in nodes:
        names = {name for image in node["status"]["images"] for name in image.get("names", [])}
        assert {tag("node"), tag("operator")} <= names


def test_a_killed_process_is_restarted_in_place_on_its_volume(
    cluster: Cluster, counter: Counter
) -> None:
    starts, restarts = counter.starts(), counter.restarts()
    [volume] = cluster.volumes.glob(f"{counter.namespace}_data-counter-0_*")
    assert (volume / "starts").read_text() == str(starts)
    killed = cluster.pod_pid(counter.namespace, "counter-0")
    os.kill(killed, signal.SIGKILL)
    until("a restart", lambda: counter.restarts() == restarts + 1)
    counter.until_ready()
    assert counter.starts() == starts + 1
    assert cluster.pod_pid(counter.namespace, "counter-0") != killed


def test_connections_of_a_process_are_counted(cluster: Cluster, counter: Counter) -> None:
    pid = cluster.pod_pid(counter.namespace, "counter-0")
    assert cluster.connections(pid, PORT) == 0
    connection = http.client.HTTPConnection(counter.address, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        assert int(connection.getresponse().read()) >= 1
        assert cluster.connections(pid, PORT) == 1
    until("the end of the connection", lambda: cluster.connections(pid, PORT) == 0)


def test_a_job_reaches_the_service_by_its_name_and_reads_its_secret(
    cluster: Cluster, counter: Counter
) -> None:
    namespace = counter.namespace
    cluster.kubectl("create", "secret", "generic", "key", "--from-literal=k=v", "-n", namespace)
    url = f"http://counter.{namespace}.svc.cluster.local:{PORT}"

    def run(name: str, code: str) -> str:
        args = ["python3", "-c", code, url]
        job = Job(
            name=name,
            namespace=namespace,
            image=tag("node"),
            args=args,
            env={"WORD": "w"},
            secrets={"key": "/secrets"},
        )
        return cluster.run_job(job)

    assert run("asks", ASK) == f"{counter.starts()} v w"
    with pytest.raises(CommandError, match="no such thing"):
        run("fails", "raise SystemExit('no such thing')")


def test_a_power_cut_kills_a_node_and_its_disk_survives(cluster: Cluster, counter: Counter) -> None:
    starts, killed = counter.starts(), cluster.pod_pid(counter.namespace, "counter-0")
    cluster.node("node-b").power_off()
    assert not Path(f"/proc/{killed}").exists()
    until("node-b not Ready", lambda: not node_ready(cluster, "node-b"))
    cluster.node("node-b").power_on()
    until("node-b Ready", lambda: node_ready(cluster, "node-b"))
    until("another start", lambda: counter.starts() == starts + 1)
    counter.until_ready()


def test_a_pulled_cable_hides_a_node_whose_processes_run_on(
    cluster: Cluster, counter: Counter
) -> None:
    starts, pid = counter.starts(), cluster.pod_pid(counter.namespace, "counter-0")
    cluster.node("node-b").cable(on=False)
    until("node-b not Ready", lambda: not node_ready(cluster, "node-b"))
    assert Path(f"/proc/{pid}").exists()
    cluster.node("node-b").cable(on=True)
    until("node-b Ready", lambda: node_ready(cluster, "node-b"))
    counter.until_ready()
    assert counter.starts() == starts


def test_a_cluster_whose_hub_is_killed_leaves_nothing_but_logs(tmp_path: Path) -> None:
    root = tmp_path / "small"
    with running(root, zones=["a"]) as cluster:
        os.kill(cluster.hub_pid, signal.SIGKILL)
        until("nothing left", lambda: not leftovers(root))
    assert [path.name for path in root.iterdir()] == ["logs"]
