"""Memory Spine: nodes from a static cluster file, as people start them."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import urllib3
import yaml

from bench.memory import NAMESPACE, memory_json
from bench.processes import Process, free_ports
from bench.systems.system import Tally
from bench.waiting import until
from spine_node.cluster_secret import admin_token

SAMPLE = 200
SPINE = Path(sys.executable).with_name("spine")
PATH = f"/v1/ns/{NAMESPACE}/memories"
_TIMEOUT = urllib3.Timeout(30)


class SpineCluster:
    """Nodes `spine-1`, `spine-2`, …, each in a zone of its own, with the audit in a file."""

    durability = "fsync on 2 of 3 before the answer; index and audit on"
    replicas = 3

    def __init__(self, root: Path, seats: int = 3, name: str = "spine") -> None:
        self.name, self.root = name, root / "spine"
        self.root.mkdir()
        self.file = self.root / "cluster.yaml"
        self._ports = free_ports(8)  # of nodes that join later too
        self.nodes: dict[int, Process] = {}
        self._http = urllib3.PoolManager(timeout=_TIMEOUT, retries=False)
        self._seats = seats

    def describe(self, seats: int) -> None:
        """Write the cluster file for so many nodes."""
        nodes = [
            {"id": f"spine-{n}", "host": "127.0.0.1", "port": self._ports[n - 1], "zone": f"z{n}"}
            for n in range(1, seats + 1)
        ]
        self._seats = seats
        self.file.write_text(yaml.safe_dump({"cluster": {"name": "bench", "nodes": nodes}}))

    def start(self) -> None:
        """Start all nodes."""
        self.describe(self._seats)
        for number in range(1, self._seats + 1):
            self.start_node(number)
        self.ready()

    def start_node(self, number: int) -> None:
        """Start one node, new or again; at the log level of deployments."""
        seat = f"spine-{number}"
        command: list[str | Path] = [SPINE, "serve", "--cluster", self.file, "--node", seat]
        self.nodes[number] = Process(
            [*command, "--data", self.root / seat],
            self.root / f"{seat}.log",
            {"SPINE_LOG_LEVEL": "INFO"},
        )

    def ready(self) -> None:
        """Wait until every node takes requests."""
        for number, process in self.nodes.items():
            until(f"spine-{number} is ready: see {process.log}", lambda n=number: self._is_ready(n))  # type: ignore[misc]

    def _is_ready(self, number: int) -> bool:
        with suppress(urllib3.exceptions.HTTPError):
            answer = self._http.request("GET", f"{self.urls[number - 1]}/healthz/ready")
            return answer.status == 200
        return False

    def reports(self, number: int) -> bool:
        """Whether a node answers the admin plane, ready or not."""
        with suppress(urllib3.exceptions.HTTPError):
            return self.admin(number, "status") is not None
        return False

    @property
    def addresses(self) -> list[str]:
        """`host:port` of each node."""
        return [f"127.0.0.1:{self._ports[number - 1]}" for number in sorted(self.nodes)]

    @property
    def urls(self) -> list[str]:
        """Base URL of each node."""
        return [f"http://{address}" for address in self.addresses]

    def pids(self) -> list[int]:
        """Return the process of each node."""
        return [process.pid for process in self.nodes.values() if process.running]

    def version(self) -> str:
        """Return the version, and the commit where there is one."""
        command = ("git", "rev-parse", "--short", "HEAD")
        head = subprocess.run(command, capture_output=True, text=True, check=False)  # or no clone
        return f"{version('memory-spine')} {head.stdout.strip()}".strip()

    def request(self, method: str, url: str, **given: Any) -> urllib3.BaseHTTPResponse:
        """Make a request as a client without a session."""
        return self._http.request(method, url, **given)

    def admin(self, number: int, path: str, store: str = "") -> Any:
        """Ask the admin plane of a node; None when it has no such thing."""
        secret = self.file.with_suffix(".secret").read_bytes().split()[0]
        headers = {"Authorization": f"Bearer {admin_token(secret)}", "Spine-Store": store}
        url = f"http://127.0.0.1:{self._ports[number - 1]}/admin/v1/{path}"
        answer = self._http.request("GET", url, headers=headers)
        return json.loads(answer.data) if answer.status == 200 else None

    def counts(self) -> list[int]:
        """Return how many records each store holds."""
        found = []
        for number in sorted(self.nodes):
            slots = self.admin(number, "status?slots=1")["slots"]
            found.append(sum(int(size[0]) for size in slots.values()))
        return found

    def verify(self, tally: Tally) -> list[str]:
        """Compare counts and a sample of bodies on every store, once the replicas agree."""
        with suppress(TimeoutError):  # what is missing then is named below
            until("replicas agree", lambda: not self._wrong_counts(tally))
        return [
            *self._wrong_counts(tally),
            *self._wrong_bodies(tally),
            *self._wrong_answers(tally),
        ]

    def _wrong_counts(self, tally: Tally) -> list[str]:
        """Look at each store, or, when not every store holds everything, at all of them together."""
        counts = self.counts()
        if len(counts) > self.replicas:
            return tally.check_counts("all stores", [sum(counts) // self.replicas])
        return tally.check_counts("store", counts)

    def _wrong_bodies(self, tally: Tally) -> Iterator[str]:
        stores = {n: str(self.admin(n, "status")["store"]["id"]) for n in sorted(self.nodes)}
        for identity in tally.sample(SAMPLE):
            said = json.loads(memory_json(identity))
            copies = [
                self.admin(number, f"records/{NAMESPACE}/{identity}", store)
                for number, store in stores.items()
            ]
            right = sum(_is_copy(copy, said) for copy in copies)
            if right != self.replicas:
                yield f"{identity}: {right} right copies"

    def _wrong_answers(self, tally: Tally) -> Iterator[str]:
        """Read a sample as the rows do: a load generator looks at the status of an answer alone."""
        for identity in tally.sample(SAMPLE // 10):
            said = json.loads(memory_json(identity))
            for url in self.urls:
                for model in ("eventual", "causal"):  # causal, without a token: a quorum
                    headers = {"Spine-Consistency": model}
                    answer = self.request("GET", f"{url}{PATH}/{identity}", headers=headers)
                    found = json.loads(answer.data)
                    if any(found.get(name) != value for name, value in said.items()):
                        yield f"{identity}: {url} answers {model} reads otherwise"

    def close(self) -> None:
        """End all nodes."""
        self._http.clear()
        for process in self.nodes.values():
            process.stop()


def _is_copy(found: Any, said: Mapping[str, object]) -> bool:
    """Whether a store's copy has what was written."""
    kept = json.loads(base64.b64decode(found["body_base64"])) if found else {}
    return all(kept.get(name) == value for name, value in said.items())
