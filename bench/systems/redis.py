"""Redis: a primary and two replicas, every write appended and fsynced on each."""

import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from bench.load.redis_benchmark import KEYS
from bench.load.redis_wire import command
from bench.memory import memory_id, memory_json
from bench.processes import Process, free_ports
from bench.systems.system import MissingError, Tally
from bench.waiting import until

SAMPLE = 200


class Redis:
    """`WAIT 1` says that one replica has received a write, not that it is on the replica's disk."""

    name = "redis"
    durability = (
        "fsync on the primary; 1 of 2 replicas has received it (WAIT 1), not proven fsynced"
    )
    replicas = 3

    def __init__(self, root: Path) -> None:
        self._root = root / "redis"
        self._servers: list[Process] = []
        self.ports = free_ports(3)

    def start(self) -> None:
        """Start three servers and wait until both replicas follow."""
        if not shutil.which("redis-server"):
            raise MissingError("Redis is not installed: apt-get install redis-server")
        for port in self.ports:
            folder = self._root / str(port)
            folder.mkdir(parents=True)
            options = [
                "--port",
                str(port),
                "--bind",
                "127.0.0.1",
                "--dir",
                str(folder),
                "--save",
                "",
            ]
            options += ["--appendonly", "yes", "--appendfsync", "always"]
            if port != self.ports[0]:
                options += ["--replicaof", "127.0.0.1", str(self.ports[0])]
            self._servers.append(Process(["redis-server", *options], folder / "log"))
        until("replicas follow", self._all_follow)
        self.fill()

    def _all_follow(self) -> bool:
        with suppress(OSError):
            said = self._ask(self.ports[0], command(b"INFO", b"replication"))
            return said.count(b"state=online") == 2
        return False

    def fill(self) -> None:
        """Write what `redis-benchmark` reads: it asks for `key:000000000000` and so on."""
        value = memory_json(memory_id("fill", 0)).encode()
        pairs = [part for n in range(KEYS) for part in (b"key:%012d" % n, value)]
        self._ask(self.ports[0], command(b"MSET", *pairs))

    def _ask(self, port: int, request: bytes) -> bytes:
        """Return one answer: those that are asked for here are small, or end with a line."""
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(request)
            data = connection.recv(65_536)
            while not data.endswith(b"\r\n"):
                data += connection.recv(65_536)
            return data

    def pids(self) -> list[int]:
        """Return the process of each server."""
        return [server.pid for server in self._servers]

    def version(self) -> str:
        """Return Redis' version."""
        text = subprocess.run(
            ["redis-server", "--version"], capture_output=True, text=True, check=True
        )
        return text.stdout.partition("v=")[2].split(" ", 1)[0]

    def verify(self, tally: Tally) -> list[str]:
        """Count the keys of every server, and compare a sample of values."""
        with suppress(TimeoutError):
            until("replicas agree", lambda: not tally.check_counts("server", self._counts()))
        wrong = tally.check_counts("server", self._counts())
        for identity in tally.sample(SAMPLE):
            for number, port in enumerate(self.ports, 1):
                found = self._ask(port, command(b"GET", identity.encode()))
                if found.partition(b"\r\n")[2] != memory_json(identity).encode() + b"\r\n":
                    wrong.append(f"server {number}: {identity} is not what was written")
        return wrong

    def _counts(self) -> list[int]:
        return [int(self._ask(port, command(b"DBSIZE"))[1:]) - KEYS for port in self.ports]

    def close(self) -> None:
        """End all servers."""
        for server in reversed(self._servers):
            server.stop()
