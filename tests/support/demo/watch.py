"""Watches what the demo waits for: the custom resource, pods, the load's own lines."""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from demo.stage import Stage
from localkube import Cluster
from localkube.api import Json, is_ready
from localkube.clock import pause
from localkube.errors import CommandError
from spine_core.topology.document import Document

POLL_S = 0.5


class StepFailedError(Exception):
    """What the demo waited for did not come; the message says what was seen last."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One MemorySpineCluster, seen through kubectl."""

    cluster: Cluster
    stage: Stage
    namespace: str
    name: str

    def get(self) -> Json:
        """Return the object."""
        return self.cluster.kubectl.get("msc", self.name, "-n", self.namespace)

    def document(self) -> Document:
        """Return the topology document."""
        found = self.cluster.kubectl.get("configmap", f"{self.name}-topology", "-n", self.namespace)
        return Document.from_json(json.loads(found["data"]["document"]))

    def until_ready(
        self, *, nodes: int, deadline_s: float, on_step: Callable[[str], None] = lambda _: None
    ) -> None:
        """Wait until the spec of this generation is in force with so many nodes; show each step.

        `on_step` hears the operator's step at every look.

        Raises:
            StepFailedError: it was not in time.
        """
        seen = ""

        def look() -> bool:
            nonlocal seen
            found = self.get()
            seen = told(found)
            on_step(found.get("status", {}).get("operation", {}).get("step", ""))
            self.stage.now(seen)
            return settled(found, nodes)

        until(look, deadline_s, lambda: f"{self.name} is not Ready: {seen}")

    def pods(self) -> dict[str, Json]:
        """Return the nodes' pods by name."""
        label = f"memoryspine.io/cluster={self.name}"
        found = self.cluster.kubectl.get("pods", "-n", self.namespace, "-l", label)
        return {pod["metadata"]["name"]: pod for pod in found["items"]}

    def until_pod_back(self, name: str, restarts: int, *, deadline_s: float) -> None:
        """Wait until a pod's container was started again and is ready."""

        def look() -> bool:
            pod = self.pods().get(name)
            return pod is not None and restarts_of(pod) > restarts and is_ready(pod)

        until(look, deadline_s, lambda: f"pod {name} did not come back")

    def metrics(self, pod: str) -> dict[str, float]:
        """Return the metrics of a node: line without its value → value."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/https:{pod}:8788/proxy/metrics"
        lines = self.cluster.kubectl("get", "--raw", path).splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}


def settled(found: Json, nodes: int) -> bool:
    """Whether the newest generation is in force and all its nodes have joined."""
    status = found.get("status", {})
    ready = condition(found, "Ready")
    return (
        ready.get("status") == "True"
        and ready.get("observedGeneration") == found["metadata"]["generation"]
        and status.get("joinedReplicas") == nodes
    )


def condition(found: Json, kind: str) -> Json:
    """Return a condition, empty when there is none."""
    conditions = found.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})


def told(found: Json) -> str:
    """Say in one line where the operator stands."""
    status = found.get("status", {})
    operation, ready = status.get("operation", {}), condition(found, "Ready")
    topology = status.get("topology", {})
    parts = [
        f"{operation['type']} {operation.get('step', '')}".strip() if operation else "",
        f"epoch {topology['epoch']}" if "epoch" in topology else "",
        ready.get("message", "") or ready.get("reason", ""),
        operation.get("blockedBy", {}).get("check", ""),
    ]
    return "  ".join(part for part in parts if part)


def restarts_of(pod: Json) -> int:
    """Return how often the pod's containers were started again."""
    return sum(c["restartCount"] for c in pod["status"].get("containerStatuses", []))


def until(look: Callable[[], bool], deadline_s: float, said: Callable[[], str]) -> None:
    """Wait for a condition; an API server that is busy is asked again.

    Raises:
        StepFailedError: with what `said` returns then.
    """
    end = time.monotonic() + deadline_s
    while True:
        try:
            if look():
                return
        except CommandError as error:
            if time.monotonic() > end:
                raise StepFailedError(str(error)) from error
        if time.monotonic() > end:
            raise StepFailedError(f"{said()} (after {deadline_s:.0f} s)")
        pause(POLL_S)


@dataclass(slots=True)
class LoadLog:
    """The lines of the load, followed in a thread of its own."""

    cluster: Cluster
    namespace: str
    job: str
    events: list[dict[str, Any]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def follow(self) -> None:
        """Begin; the thread ends with the job."""
        threading.Thread(target=self._read, daemon=True).start()

    def last(self, event: str) -> dict[str, Any] | None:
        """Return the newest line of a kind."""
        return next((line for line in reversed(self.events) if line["event"] == event), None)

    def acknowledged(self) -> int:
        """Return the memories acknowledged so far."""
        progress = self.last("progress")
        return int(progress["acknowledged"]) if progress else 0

    def _read(self) -> None:
        words = ["logs", "--follow", f"--namespace={self.namespace}", f"job/{self.job}"]
        with subprocess.Popen(
            self.cluster.kubectl.argv(*words),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it complains when the cluster is taken away
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                self.text.append(line.rstrip())
                if line.startswith("{"):
                    self.events.append(json.loads(line))
