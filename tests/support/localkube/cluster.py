"""A running cluster as its user sees it: kubectl, switches, processes, jobs."""

import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localkube import jobs, keeper, pods
from localkube.api import Api, Json
from localkube.clock import until
from localkube.errors import DaemonDiedError, HubError
from localkube.hub_socket import ask
from localkube.jobs import Job
from localkube.keeper import END_DEADLINE_S, PACKAGES, UP_DEADLINE_S
from localkube.kubectl import Kubectl
from localkube.leftovers import LOGS, ROOT_VARIABLE, living_processes
from localkube.pki import Pki
from localkube.plan import ClusterPlan
from localkube.processes import LOG_TAIL_CHARS, dies_with_parent
from localkube.tools import bin_dir


@dataclass(frozen=True, slots=True)
class Switch:
    """The power switch and the cable of one node."""

    root: Path
    name: str

    def power_off(self) -> None:
        """Cut its power: every process in it is dead when this returns."""
        self._ask("power", on=False)

    def power_on(self) -> None:
        """Boot it with its disk; returns before it is Ready."""
        self._ask("power", on=True)

    def cable(self, *, on: bool) -> None:
        """Plug its cable in or pull it; its processes run on either way."""
        self._ask("cable", on=on)

    def _ask(self, what: str, *, on: bool) -> None:
        ask(self.root, {"do": what, "node": self.name, "on": on})


@dataclass(frozen=True)
class Cluster:
    """The cluster that runs in `root`, whoever started it."""

    root: Path

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig that works out here, through a relay on a loopback port."""
        return self.root / "outside.kubeconfig"

    @property
    def inner_kubeconfig(self) -> Path:
        """The same for programs inside the hub's network; see `enter`."""
        return self.root / "admin.kubeconfig"

    @functools.cached_property
    def kubectl(self) -> Kubectl:
        """The kubectl of an administrator."""
        return Kubectl(self.kubeconfig)

    @functools.cached_property
    def api(self) -> Api:
        """The API server, for an administrator."""
        return Api(self.facts()["server"], Pki(self.root / "pki"))

    @property
    def logs_dir(self) -> Path:
        """The logs of every program; they stay when the cluster has gone."""
        return self.root / LOGS

    @property
    def volumes(self) -> Path:
        """The persistent volumes, `NAMESPACE_CLAIM_...` each."""
        return self.root / "volumes"

    @property
    def hub_pid(self) -> int:
        """The process id of the hub: whoever kills it ends the cluster."""
        return next(pid for pid in living_processes(self.root) if _is_hub(pid))

    @property
    def node_names(self) -> list[str]:
        """The nodes, zone by zone."""
        return [node.name for node in ClusterPlan.load(self.root).nodes]

    def node(self, name: str) -> Switch:
        """Return the switches of a node."""
        return Switch(self.root, name)

    def facts(self) -> Json:
        """Return what the keeper announced: kubeconfig, server, seconds that the start took."""
        facts: Json = json.loads((self.root / "ready.json").read_text())
        return facts

    def status(self) -> dict[str, Json]:
        """Return each node's zone, power and cable."""
        nodes: dict[str, Json] = ask(self.root, {"do": "status"})["nodes"]
        return nodes

    def load_image(self, archive: Path) -> None:
        """Give an image archive to every node, now or when it boots."""
        kept = ClusterPlan.load(self.root).images / archive.name
        kept.unlink(missing_ok=True)
        kept.symlink_to(archive.absolute())
        ask(self.root, {"do": "image", "archive": str(kept)})

    def pod_pid(self, namespace: str, pod: str, container: str | None = None) -> int:
        """Return the process id, on this machine, of the main process of a pod's container."""
        found = self.kubectl.get("pod", pod, f"--namespace={namespace}")
        return pods.main_process(self.root, pods.container_id(found, container))

    def connections(self, pid: int, port: int) -> int:
        """Return how many established TCP connections of a process's network use this port."""
        return pods.established(pid, port)

    def program_pids(self, name: str) -> list[int]:
        """Return the process ids of a program of the cluster itself, such as kube-apiserver."""
        return [pid for pid in living_processes(self.root) if _executable(pid) == name]

    def run_job(self, job: Job, *, deadline_s: float = 120) -> str:
        """Run a job to its end and return its logs; see `jobs.run_job`."""
        return jobs.run_job(self.kubectl, job, deadline_s=deadline_s)

    def relay(self, host: str, port: int, *, outside_port: int = 0) -> int:
        """Open a loopback port out here that leads to a pod, a Service or the API server.

        `host` is an address inside, such as a ClusterIP; 0 lets the kernel choose the port.
        """
        return keeper.open_relay(self.root, host, port, outside_port)

    def service_ip(self, namespace: str, name: str) -> str:
        """Return the ClusterIP of a Service."""
        found = self.kubectl.get("service", name, f"--namespace={namespace}")
        return str(found["spec"]["clusterIP"])

    def enter(self, argv: Sequence[str]) -> list[str]:
        """Return `argv` as a command that runs inside the hub's network, kubectl at hand."""
        path = f"PATH={bin_dir()}:{os.environ['PATH']}"
        env = ["env", f"KUBECONFIG={self.inner_kubeconfig}", path]
        return ["nsenter", "--net", f"--target={self.hub_pid}", "--", *env, *argv]


@contextmanager
def running(
    root: Path, *, zones: Sequence[str], nodes_per_zone: int = 1, images: Sequence[Path] = ()
) -> Iterator[Cluster]:
    """Run a cluster; when the block ends, or this process however it ends, nothing is left of it.

    Raises:
        ToolsMissingError, DaemonDiedError, DeadlineError: it did not come up, with the reason.
    """
    plan = ClusterPlan.make(root, zones, nodes_per_zone)
    child = start_keeper(plan, images, detach=False)
    try:
        yield Cluster(plan.root)
    finally:
        child.terminate()
        child.wait(timeout=3 * END_DEADLINE_S)


def start_keeper(
    plan: ClusterPlan, images: Sequence[Path], *, detach: bool
) -> subprocess.Popen[bytes]:
    """Start a keeper and wait until its cluster is up; detached, it outlives this process.

    Raises:
        HubError: a cluster runs there already.
        DaemonDiedError, DeadlineError: it did not come up.
    """
    if keeper.keeper_pid(plan.root):
        raise HubError(f"a cluster runs in {plan.root} already")
    (plan.root / "ready.json").unlink(missing_ok=True)  # of one that was killed
    argv: list[object] = [sys.executable, "-m", "localkube", "up", plan.root]
    argv += [f"--zones={','.join(plan.zones)}", f"--nodes-per-zone={plan.nodes_per_zone}"]
    argv += [f"--image={image.absolute()}" for image in images]
    words = list(map(str, argv)) if detach else dies_with_parent(argv, by=signal.SIGTERM)
    env = {**os.environ, "PYTHONPATH": str(PACKAGES), ROOT_VARIABLE: str(plan.root)}
    log = plan.root / LOGS / "keeper.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            start_new_session=detach,
        )

    def is_up() -> bool:
        status = child.poll()
        if status is not None:
            raise DaemonDiedError("the keeper", status, log.read_text()[-LOG_TAIL_CHARS:])
        return (plan.root / "ready.json").exists()

    until("the cluster", is_up, deadline_s=2 * UP_DEADLINE_S)
    return child


def _executable(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:  # it has ended
        return ""


def _is_hub(pid: int) -> bool:
    return b"localkube.hub" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
