"""A namespace in which an operator works: its rights come from the chart, its nodes are processes.

There is no kubelet: pods stay Pending, so the lab runs `spine_node` for each of them with the pod's own
environment, on loopback, and writes "ready" into their status. A disk is a directory per claim.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from base64 import b64decode
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import yaml

from cluster.nodes import NodeProcess, free_ports
from localkube.clock import until
from localkube.controlplane import ControlPlane
from localkube.errors import DeadlineError
from localkube.processes import dies_with_parent, run
from localkube.tools import program

CHART = Path(__file__).parents[3] / "charts" / "memory-spine"
SEATS = [f"spine-{zone}-{ordinal}" for zone in "abcd" for ordinal in range(3)]
READY = [{"type": "Ready", "status": "True", "reason": "Test"}]
OURS = "memoryspine.io%2Fcluster%3Dspine"
ROOTS = {
    "memoryspineclusters": "/apis/memoryspine.io/v1alpha1",
    "statefulsets": "/apis/apps/v1",
}
Json = dict[str, Any]


class Lab:
    """One operator for one namespace (`everywhere`: for all of them)."""

    def __init__(
        self, plane: ControlPlane, namespace: str, root: Path, *, everywhere: bool = False
    ) -> None:
        self.plane, self.namespace, self.root = plane, namespace, root
        self.kubectl = plane.kubectl
        self._everywhere = everywhere
        self._health_port, self._metrics_port, *ports = free_ports(len(SEATS) + 2)
        self._addresses = {s: f"127.0.0.1:{port}" for s, port in zip(SEATS, ports, strict=True)}
        self._operator: subprocess.Popen[bytes] | None = None
        self.nodes: dict[str, NodeProcess] = {}  # uid of the pod → its process
        self.log = root / "operator.log"

    def __enter__(self) -> Self:
        mode = "Cluster" if self._everywhere else "Namespaces"
        watched = [] if self._everywhere else [self.namespace]
        values = {"watch": {"mode": mode, "namespaces": watched}, "crds": {"install": False}}
        rendered = run(
            *(program("helm"), "template", self.namespace, CHART, "--values=-"),
            f"--namespace={self.namespace}",
            stdin=json.dumps(values),
        )
        documents = [d for d in yaml.safe_load_all(rendered) if d]
        wanted = [d for d in documents if d["kind"] not in ("Deployment", "NetworkPolicy")]
        self.kubectl.apply(*wanted)
        self._cluster_wide = [d for d in wanted if d["kind"].startswith("ClusterRole")]
        account = next(d for d in wanted if d["kind"] == "ServiceAccount")["metadata"]["name"]
        self._kubeconfig = self.plane.account_kubeconfig(self.namespace, account)
        (self.root / "addresses.json").write_text(json.dumps(self._addresses))
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_operator()
        for node in self.nodes.values():
            if node.running:
                node.kill()
        for document in self._cluster_wide:
            self.kubectl("delete", document["kind"], document["metadata"]["name"])

    def start_operator(self) -> None:
        """Start the operator, or start it again."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(self._kubeconfig),
            "SPINE_OPERATOR_IDENTITY": f"operator-{os.getpid()}",
            "SPINE_OPERATOR_NAMESPACE": self.namespace,
            "SPINE_OPERATOR_NAMESPACES": "" if self._everywhere else self.namespace,
            "SPINE_OPERATOR_HEALTH_PORT": str(self._health_port),
            "SPINE_OPERATOR_METRICS_PORT": str(self._metrics_port),
            "SPINE_OPERATOR_SEAT_ADDRESSES_FILE": str(self.root / "addresses.json"),
        }
        with self.log.open("ab") as log:
            self._operator = subprocess.Popen(
                dies_with_parent([sys.executable, "-X", "dev", "-m", "spine_operator"]),
                env=environment,
                stdout=log,
                stderr=log,
            )

    def go_through(self, server: str) -> None:
        """Let the operator find the API server here, from its next start on."""
        kubeconfig = json.loads(self._kubeconfig.read_text())
        kubeconfig["clusters"][0]["cluster"] = {"server": server}
        self._kubeconfig.write_text(json.dumps(kubeconfig))

    @property
    def operator_pid(self) -> int:
        """The process id of the operator that was started last."""
        assert self._operator is not None
        return self._operator.pid

    def kill_operator(self) -> None:
        """End the operator as a power cut would."""
        if self._operator is not None:
            self._operator.kill()
            self._operator.wait()
            self._operator = None

    def stop_operator(self) -> int:
        """Ask the operator to end; return its exit status."""
        assert self._operator is not None
        self._operator.send_signal(signal.SIGTERM)
        status = self._operator.wait(timeout=30)
        self._operator = None
        return status

    def apply(self, **spec: Any) -> Json:
        """Apply the custom resource."""
        zones = {"zones": [{"name": name} for name in "abc"]}
        loopback = {"tls": {"extraDNSNames": ["127.0.0.1"]}}
        defaults = {"version": "1.0.0", "storage": {"size": "1Gi"}, "security": loopback}
        resource = {
            "apiVersion": "memoryspine.io/v1alpha1",
            "kind": "MemorySpineCluster",
            "metadata": {"name": "spine", "namespace": self.namespace},
            "spec": {**defaults, "topology": zones, **spec},
        }
        return self.kubectl.apply(resource)[0]

    def resource(self) -> Json:
        """The custom resource as it is now."""
        return self.plane.api.call("GET", f"{self._path_of('memoryspineclusters')}/spine")

    def condition(self, kind: str) -> Json:
        """One condition of the status, empty when it is not shown."""
        status = self.resource().get("status", {})
        found = [one for one in status.get("conditions", ()) if one["type"] == kind]
        return found[0] if found else {}

    def document(self) -> Json:
        """The stored topology document."""
        stored = self.plane.api.call("GET", f"{self._path_of('configmaps')}/spine-topology")
        document: Json = json.loads(stored["data"]["document"])
        return document

    def wait_ready(self, generation: int) -> None:
        """Tend the nodes until the operator says that this generation is in force."""
        try:
            what = f"generation {generation} in force"
            until(what, lambda: self.in_force(generation), deadline_s=90)
        except DeadlineError as error:
            status = json.dumps(self.resource().get("status"))
            error.add_note(f"{status}\n{self.log.read_text()[-3000:]}")
            raise

    def in_force(self, generation: int) -> bool:
        """Tend the nodes, then tell whether the operator says that this generation is in force."""
        self.tend()
        ready = self.condition("Ready")
        return ready.get("observedGeneration") == generation and ready["status"] == "True"

    def tend(self) -> None:
        """Give every pod a node process and a status, and end those whose pod is gone."""
        pods = {p["metadata"]["uid"]: p for p in self.items("pods")}
        for uid, node in self.nodes.items():
            if uid not in pods and node.running:
                node.kill(signal.SIGTERM)
        for uid, pod in pods.items():
            if uid not in self.nodes and "deletionTimestamp" not in pod["metadata"]:
                self._start_node(uid, pod)

    def items(self, plural: str) -> list[Json]:
        """Objects of the namespace that belong to the cluster."""
        return self.plane.api.items(f"{self._path_of(plural)}?labelSelector={OURS}")

    def secret(self, purpose: str) -> dict[str, bytes]:
        """The files of one of the cluster's Secrets, such as `admin`."""
        return self._files({"secret": {"secretName": f"spine-{purpose}"}})

    def urls(self, seats: Sequence[str]) -> dict[str, str]:
        """Return seat → URL."""
        return {seat: f"https://{self._addresses[seat]}" for seat in seats}

    def writes(self) -> dict[str, float]:
        """What the operator has written so far, by its own metrics, renewals of the Lease aside."""
        counted = self._metrics("memoryspine_kube_writes_total{")
        return {name: value for name, value in counted.items() if "leases" not in name}

    def reconcile_passes(self) -> float:
        """How many reconcile passes the operator has ended."""
        return sum(self._metrics("memoryspine_turn_seconds_count").values())

    def run_passes(self, count: int) -> None:
        """Let the operator run so many passes, each because somebody touched the resource."""
        for _ in range(count):
            before = self.reconcile_passes()
            label = f"pass={before:.0f}"
            self.kubectl("label", "msc", "spine", label, "--overwrite", "-n", self.namespace)
            until("a pass", partial(self._passed, before))

    def healthy(self) -> bool:
        """Whether the liveness probe would pass."""
        url = f"http://127.0.0.1:{self._health_port}/healthz"
        with urllib.request.urlopen(url) as answer:
            return bool(answer.status == 200)

    def _passed(self, before: float) -> bool:
        return self.reconcile_passes() > before

    def _path_of(self, plural: str) -> str:
        """Asked this way and not through kubectl, since tests look ten times a second."""
        return f"{ROOTS.get(plural, '/api/v1')}/namespaces/{self.namespace}/{plural}"

    def _metrics(self, prefix: str) -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines if line.startswith(prefix)]
        return {name: float(value) for name, value in pairs}

    def _start_node(self, uid: str, pod: Json) -> None:
        seat, container = pod["metadata"]["name"], pod["spec"]["containers"][0]
        claim = self.kubectl.get("pvc", f"data-{seat}", "-n", self.namespace)
        etc = self._mount(pod)
        host, _, port = self._addresses[seat].partition(":")
        given = {
            one["name"]: one.get("value", seat).replace("/etc/spine", str(etc))
            for one in container["env"]
        }
        node = NodeProcess(
            seat,
            self._addresses[seat],
            self.root,
            {
                **given,
                "SPINE_DATA": str(self.root / claim["metadata"]["uid"]),
                "SPINE_HOST": host,
                "SPINE_PORT": port,
                "SPINE_SHUTDOWN_S": "1",  # no load balancer has to notice
            },
        )
        node.start()
        self.nodes[uid] = node
        patch = json.dumps({"status": {"phase": "Running", "conditions": READY}})
        words = ("--subresource=status", "--type=merge", f"--patch={patch}")
        self.kubectl("patch", "pod", seat, "-n", self.namespace, *words)

    def _mount(self, pod: Json) -> Path:
        """Write the pod's ConfigMaps and Secrets where its node looks for them."""
        etc = self.root / "etc" / str(pod["metadata"]["name"])
        for volume in pod["spec"]["volumes"]:
            folder = etc / volume["name"]
            folder.mkdir(parents=True, exist_ok=True)
            for name, value in self._files(volume).items():
                (folder / name).write_bytes(value)
        return etc

    def _files(self, volume: Json) -> dict[str, bytes]:
        if "configMap" in volume:
            name = volume["configMap"]["name"]
            data = self.kubectl.get("configmap", name, "-n", self.namespace)["data"]
            return {key: text.encode() for key, text in data.items()}
        if "secret" not in volume:
            return {}
        name = volume["secret"]["secretName"]
        data = self.kubectl.get("secret", name, "-n", self.namespace)["data"]
        chosen = [item["key"] for item in volume["secret"].get("items", [])] or list(data)
        return {key: b64decode(data[key]) for key in chosen}
