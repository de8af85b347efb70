"""Real node processes on loopback, from one static cluster file. They die with the test."""

import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from agents.clock import until
from spine_core.records.tokens import derive_key
from spine_core.topology.document import Document

DEADLINE_S = 60.0
PORTS = (16_384, 32_768)  # outgoing connections begin at 32768, ip(7)


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago.

    They lie below those that the kernel gives to outgoing connections: a node that is down for a
    while finds its port free again, however many connections were made meanwhile.
    """
    with ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            port = random.randrange(*PORTS)
            with suppress(OSError):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                found.append(port)
        return found


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class NodeProcess:
    """One `spine_node` process, its directory and its log."""

    def __init__(self, seat: str, url: str, root: Path, environment: dict[str, str]) -> None:
        self.seat, self.url, self.log = seat, url, root / f"{seat}.log"
        self._environment = {**os.environ, "SPINE_DATA": str(root / seat), **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "spine_node"],
                env=self._environment,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl, no lock
            )

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        """End the process and return its exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=DEADLINE_S)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal and do not wait."""
        assert self._process is not None
        self._process.send_signal(number)


class StaticCluster:
    """Nodes of one cluster file; `with` ends all of them.

    `seats` is (id, zone). Nodes start with `start`, so a file may name nodes that are not there.
    """

    def __init__(self, root: Path, seats: Sequence[tuple[str, str]], **environment: str) -> None:
        self.file = root / "cluster.yaml"
        self._root, self._zones = root, dict(seats)
        self._ports = dict(zip(self._zones, free_ports(len(self._zones)), strict=True))
        self._environment = {"SPINE_LOG_LEVEL": "INFO", **environment}
        self.nodes: dict[str, NodeProcess] = {}
        self.describe(list(self._zones))

    def describe(self, seats: Sequence[str]) -> None:
        """Write the cluster file for these seats, out of those known from the start."""
        nodes = [
            {"id": s, "host": "127.0.0.1", "port": self._ports[s], "zone": self._zones[s]}
            for s in seats
        ]
        self.file.write_text(yaml.safe_dump({"cluster": {"name": "test", "nodes": nodes}}))

    def start(self, *seats: str) -> None:
        """Start nodes, new ones or again."""
        for seat in seats:
            environment = {**self._environment, "SPINE_CLUSTER": str(self.file), "SPINE_NODE": seat}
            if seat not in self.nodes:
                self.nodes[seat] = NodeProcess(seat, self.url(seat), self._root, environment)
            self.nodes[seat].start()

    def url(self, seat: str) -> str:
        """Return the base URL of a seat."""
        return f"http://127.0.0.1:{self._ports[seat]}"

    def urls(self, seats: Sequence[str]) -> dict[str, str]:
        """Return seat → URL."""
        return {seat: self.url(seat) for seat in seats}

    @property
    def admin_token(self) -> str:
        """The credential of the admin plane."""
        secret = self.file.with_suffix(".secret").read_bytes().split()[0]
        return derive_key(secret, "admin").hex()

    async def ready(self, *seats: str) -> None:
        """Wait until nodes are ready for clients."""
        async with aiohttp.ClientSession() as http:
            for seat in seats:
                await until(f"{seat} ready", partial(_is_ready, http, self.url(seat)))

    async def document(self, seat: str) -> Document:
        """Return the topology document that a node holds."""
        store = (await self.status(seat))["store"]["id"]
        headers = {"Authorization": f"Bearer {self.admin_token}", "Spine-Store": store}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.get(f"{self.url(seat)}/admin/v1/topology") as answer,
        ):
            return Document.from_json(json.loads(await answer.read()))

    async def status(self, seat: str, *, slots: int = 0) -> dict[str, Any]:
        """Return the report of a node; `slots` 1 adds what it holds of each."""
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.get(f"{self.url(seat)}/admin/v1/status?slots={slots}") as answer,
        ):
            report: dict[str, Any] = await answer.json()
            return report

    def close(self) -> None:
        """End every process that still runs."""
        for node in self.nodes.values():
            if node.running:
                node.kill()


def running(cluster: StaticCluster) -> Iterator[StaticCluster]:
    """Hand a cluster to a test and end its processes, whatever happened."""
    try:
        yield cluster
    finally:
        cluster.close()


async def _is_ready(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/healthz/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
