"""The acts of the demo, in order, and what each one has to show."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from demo import image, summary
from demo.stage import Stage
from demo.watch import LoadLog, Resource, StepFailedError, restarts_of, until
from localkube import Cluster, leftovers, running
from localkube.api import Json
from localkube.clock import unix_s
from localkube.cluster import start_keeper
from localkube.images.project import REPOSITORY, tag
from localkube.jobs import Job
from localkube.plan import ClusterPlan
from localkube.processes import run
from localkube.tools import ensure, program
from spine_core.topology.document import Document
from spine_core.topology.placement import Placement

ZONES = ("us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d")
QUICKSTART = REPOSITORY / "examples" / "quickstart.yaml"
SYSTEM, NAMESPACE, JOB = "memory-spine-system", "agents", "agents"
PORT = 8788
READY_S, CHANGE_S, STOP_S = 180.0, 300.0, 600.0
BEFORE_CHANGES = 2500  # memories in the cluster before the first change


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment asks for."""

    root: Path
    keep: bool
    least: int
    rate: float


@dataclass(slots=True)
class Span:
    """When a step ran, in Unix seconds, for the proof that the load overlapped it."""

    began: float
    ended: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


@dataclass(slots=True)
class Play:
    """One run of the demo."""

    settings: Settings
    stage: Stage = field(default_factory=Stage)
    spans: dict[str, Span] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    def run(self) -> int:
        """Play all acts; return the exit code."""
        self.stage.say("[bold]Memory Spine[/bold]: one memory for a fleet of agents\n")
        with self._timed("total"):
            with self._timed("setup"):
                images = self._prepare()
            with self._cluster(images) as cluster:
                self._install(cluster)
                resource = self._bootstrap(cluster)
                result = self._under_load(cluster, resource)
                if self.settings.keep:
                    summary.say_how_to_use(self.stage, cluster, resource)
        if not self.settings.keep:
            left = leftovers(self.settings.root)
            assert not left, f"the demo left something behind: {left}"
        return summary.conclude(self.stage, self._facts(result))

    def _prepare(self) -> dict[str, Path]:
        with self.stage.step("Kubernetes and its tools, built from pinned sources"):
            ensure("all", self.stage.now)
        with self.stage.step("Images of node, operator and agents, built here"):
            return image.build_all(REPOSITORY / "build" / "images")

    @contextmanager
    def _cluster(self, images: dict[str, Path]) -> Iterator[Cluster]:
        archives = list(images.values())
        root = self.settings.root
        what = f"Real Kubernetes: {len(ZONES)} zones with one node each"
        if self.settings.keep:
            with self.stage.step(what), self._timed("kubernetes"):
                plan = ClusterPlan.make(root, ZONES, 1)
                start_keeper(plan, archives, detach=True)
            yield Cluster(root)
            return
        with self.stage.step(what), self._timed("kubernetes"):
            context = running(root, zones=ZONES, images=archives)
            cluster = context.__enter__()
        try:
            yield cluster
        finally:
            with self.stage.step("Everything taken away again"):
                context.__exit__(None, None, None)

    def _install(self, cluster: Cluster) -> None:
        with self.stage.step("The operator, installed from its chart"), self._timed("operator"):
            environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
            repository, version = tag("operator").rsplit(":", 1)
            node = tag("node").rsplit(":", 1)[0]
            run(
                program("helm"),
                "install",
                "memory-spine",
                REPOSITORY / "charts" / "memory-spine",
                f"--namespace={SYSTEM}",
                "--create-namespace",
                f"--set=image.repository={repository},image.tag={version},image.pullPolicy=Never",
                f"--set=defaultNodeImage={node}",
                env=environment,
            )
            cluster.kubectl(
                "rollout", "status", "deployment/memory-spine", "-n", SYSTEM, "--timeout=120s"
            )

    def _bootstrap(self, cluster: Cluster) -> Resource:
        wanted = yaml.safe_load(QUICKSTART.read_text())
        resource = Resource(cluster, self.stage, NAMESPACE, wanted["metadata"]["name"])
        what = "kubectl apply -f examples/quickstart.yaml, until Ready"
        with self.stage.step(what), self._timed("bootstrap"):
            cluster.kubectl("create", "namespace", NAMESPACE)
            cluster.kubectl("apply", "-n", NAMESPACE, "-f", QUICKSTART)
            resource.until_ready(nodes=wanted["spec"]["replicas"], deadline_s=READY_S)
        return resource

    def _under_load(self, cluster: Cluster, resource: Resource) -> Json:
        log = self._start_load(cluster, resource)
        before = resource.document()
        with self.stage.step("kubectl scale msc 3 → 4, under load"), self._timed("scale_up"):
            stored: list[int] = []  # memories when the joiner began to pull

            def note(step: str) -> None:
                if step in {"push", "pull"} and not stored:
                    stored.append(log.acknowledged())

            self._scale(cluster, resource, 4)
            resource.until_ready(nodes=4, deadline_s=CHANGE_S, on_step=note)
        self._count_moved(resource, before, stored[0])
        with self.stage.step("kill -9 of a node's process, under load"), self._timed("kill"):
            self._kill(cluster, resource)
            resource.until_ready(nodes=4, deadline_s=CHANGE_S)
        with self.stage.step("kubectl scale msc 4 → 3, under load"), self._timed("scale_down"):
            self._scale(cluster, resource, 3)
            resource.until_ready(nodes=3, deadline_s=CHANGE_S)
        with self.stage.step("The load ends; every store is audited"), self._timed("audit"):
            return self._audited(cluster, log)

    def _start_load(self, cluster: Cluster, resource: Resource) -> LoadLog:
        service = f"{resource.name}-nodes.{NAMESPACE}.svc"
        job = Job(
            name=JOB,
            namespace=NAMESPACE,
            image=image.TAG,
            args=[
                *("python3", "-m", "agents", "--service", service),
                *("--rate", str(self.settings.rate), "--least", str(self.settings.least)),
            ],
            secrets={
                f"{resource.name}-client": "/secrets/client",
                f"{resource.name}-admin": "/secrets/admin",
            },
        )
        log = LoadLog(cluster, NAMESPACE, JOB)
        with self.stage.step("32 agents begin to remember real conversations"):
            cluster.kubectl.apply(job.manifest())
            self._until_pod_runs(cluster)
            log.follow()
            self._until_stored(log, BEFORE_CHANGES)
        self.spans["load"] = Span(unix_s())
        return log

    def _until_pod_runs(self, cluster: Cluster) -> None:
        def runs() -> bool:
            pods = cluster.kubectl.get("pods", "-n", NAMESPACE, "-l", f"job-name={JOB}")["items"]
            return any(pod["status"].get("phase") == "Running" for pod in pods)

        until(runs, READY_S, lambda: "the load's pod does not run")

    def _until_stored(self, log: LoadLog, count: int) -> None:
        def stored() -> bool:
            self.stage.now(f"{log.acknowledged():,} memories acknowledged", passing=True)
            return log.acknowledged() >= count

        until(stored, READY_S, lambda: "the load does not progress: " + "\n".join(log.text[-20:]))

    def _scale(self, cluster: Cluster, resource: Resource, nodes: int) -> None:
        cluster.kubectl("scale", "msc", resource.name, "-n", NAMESPACE, f"--replicas={nodes}")

    def _kill(self, cluster: Cluster, resource: Resource) -> None:
        victim = sorted(resource.pods())[1]
        restarts = restarts_of(resource.pods()[victim])
        pid = cluster.pod_pid(NAMESPACE, victim)
        connections = cluster.connections(pid, PORT)
        assert connections > 0, "the process that is killed must hold connections"
        self.figures["killed_connections"] = connections
        os.kill(pid, signal.SIGKILL)
        resource.until_pod_back(victim, restarts, deadline_s=CHANGE_S)

    def _count_moved(self, resource: Resource, before: Document, stored: int) -> None:
        """Compare what the nodes have pulled for the change with what the ring said would move."""
        pulled = sum(
            value
            for pod in resource.pods()
            for name, value in resource.metrics(pod).items()
            if name == 'spine_pull_records_total{reason="change"}'
        )
        after = resource.document()
        old, new = Placement(before), Placement(after)
        copies = before.slots * before.factor
        moved = sum(len({*new.current(s)} - {*old.current(s)}) for s in old.slots)
        self.figures["moved_fraction"] = round(pulled / (stored * before.factor), 4)
        self.figures["moved_fraction_planned"] = round(moved / copies, 4)

    def _audited(self, cluster: Cluster, log: LoadLog) -> Json:
        [pod] = cluster.kubectl.get("pods", "-n", NAMESPACE, "-l", f"job-name={JOB}")["items"]
        self.spans["load"].ended = unix_s()
        os.kill(cluster.pod_pid(NAMESPACE, pod["metadata"]["name"]), signal.SIGTERM)

        def ended() -> bool:
            self.stage.now(f"{log.acknowledged():,} memories acknowledged", passing=True)
            return log.last("result") is not None or bool(
                cluster.kubectl("get", "job", JOB, "-n", NAMESPACE, "-o=jsonpath={.status.failed}")
            )

        until(ended, STOP_S, lambda: "the load did not end: " + "\n".join(log.text[-20:]))
        result = log.last("result")
        if result is None:
            raise StepFailedError("the load failed:\n" + "\n".join(log.text[-30:]))
        return result

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        span = self.spans[name] = Span(unix_s())
        try:
            yield
        finally:
            span.ended = unix_s()

    def _facts(self, result: Json) -> Json:
        """Return `build/demo.json`: what the load saw, what the change moved, how long each took."""
        seconds = {int(second): count for second, count in result.pop("per_second").items()}
        for name in ("scale_up", "kill", "scale_down"):
            span = self.spans[name]
            during = sum(n for at, n in seconds.items() if span.began <= at <= span.ended)
            assert during > 0, f"no memory was acknowledged during {name}"
            self.figures[f"acknowledged_during_{name}"] = during
        return {
            **{name: value for name, value in result.items() if name not in {"event", "at"}},
            **self.figures,
            "kubernetes_s": round(self.spans["kubernetes"].seconds, 1),
            "bootstrap_s": round(self.spans["bootstrap"].seconds, 1),
            "scale_up_s": round(self.spans["scale_up"].seconds, 1),
            "kill_recovery_s": round(self.spans["kill"].seconds, 1),
            "scale_down_s": round(self.spans["scale_down"].seconds, 1),
            "setup_s": round(self.spans["setup"].seconds, 1),
            "total_s": round(self.spans["total"].seconds, 1),
        }
