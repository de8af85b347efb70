"""etcd: three members; the load goes to the leader, as gRPC."""

import base64
import json
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import urllib3

from bench.memory import memory_json
from bench.processes import Process, free_ports
from bench.systems.system import MissingError, Tally
from bench.waiting import until

SAMPLE = 200
QUOTA_BYTES = 8 * 2**30  # its default of 2 GiB ends a long run


class Etcd:
    """Members `m1` to `m3`. Key-value calls for the checks go through the JSON gateway."""

    name = "etcd"
    durability = "fsync on 2 of 3 before the answer"
    replicas = 3

    def __init__(self, root: Path) -> None:
        self._root = root / "etcd"
        self._members: list[Process] = []
        self._clients = free_ports(3)
        self._http = urllib3.PoolManager(timeout=30, retries=False)
        self._first_leader: int | None = None
        self._first_revision = 0

    def start(self) -> None:
        """Start three members and wait for a leader."""
        if not shutil.which("etcd"):
            raise MissingError("etcd is not installed: apt-get install etcd-server")
        self._root.mkdir()
        peers = free_ports(3)
        cluster = ",".join(f"m{n}=http://127.0.0.1:{port}" for n, port in enumerate(peers, 1))
        for number, (client, peer) in enumerate(zip(self._clients, peers, strict=True), 1):
            name, client_url = f"m{number}", f"http://127.0.0.1:{client}"
            peer_url = f"http://127.0.0.1:{peer}"
            command: list[str | Path] = [
                *("etcd", "--name", name, "--data-dir", self._root / name),
                *("--listen-client-urls", client_url, "--advertise-client-urls", client_url),
                *("--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url),
                *("--initial-cluster", cluster, "--initial-cluster-state", "new"),
                *(
                    "--quota-backend-bytes",
                    str(QUOTA_BYTES),
                    "--logger",
                    "zap",
                    "--log-level",
                    "warn",
                ),
            ]
            self._members.append(Process(command, self._root / f"{name}.log"))
        until("etcd has a leader", lambda: self.leader() is not None)
        self._first_leader, self._first_revision = self.leader(), self._revision()

    def leader(self) -> int | None:
        """Return the client port of the leader, None while there is none."""
        with suppress(urllib3.exceptions.HTTPError, KeyError):
            for port in self._clients:
                status = self._call(port, "maintenance/status", {})
                if status["header"]["member_id"] == status["leader"]:
                    return port
        return None

    def _call(self, port: int, path: str, body: dict[str, Any]) -> Any:
        answer = self._http.request("POST", f"http://127.0.0.1:{port}/v3/{path}", json=body)
        return json.loads(answer.data)

    def _revision(self) -> int:
        """Return the number of changes so far: each put is one."""
        return int(self._call(self._clients[0], "maintenance/status", {})["header"]["revision"])

    def pids(self) -> list[int]:
        """Return the process of each member."""
        return [member.pid for member in self._members]

    def version(self) -> str:
        """Return etcd's version."""
        text = subprocess.run(["etcd", "--version"], capture_output=True, text=True, check=True)
        found = re.search(r"etcd Version: (\S+)", text.stdout)
        return found[1] if found else "?"

    def verify(self, tally: Tally) -> list[str]:
        """Count on every member by itself, and compare a sample of values."""
        with suppress(TimeoutError):
            until("members agree", lambda: not tally.check_counts("member", self._counts()))
        wrong = tally.check_counts("member", self._counts())
        wrong += tally.check_counts("revisions of", [self._revision() - self._first_revision])
        if self.leader() != self._first_leader:
            wrong.append("the leader has changed: the load went to a follower")
        for identity in tally.sample(SAMPLE):
            for number, port in enumerate(self._clients, 1):
                found = self._range(port, identity.encode())
                values = [base64.b64decode(pair["value"]) for pair in found.get("kvs", ())]
                if values != [memory_json(identity).encode()]:
                    wrong.append(f"member {number}: {identity} is not what was written")
        return wrong

    def _counts(self) -> list[int]:
        return [
            int(self._range(port, b"\0", range_end="AA==", count_only=True).get("count", 0))
            for port in self._clients
        ]

    def _range(self, port: int, key: bytes, **more: Any) -> Any:
        text = base64.b64encode(key).decode()
        return self._call(port, "kv/range", {"key": text, "serializable": True, **more})

    def close(self) -> None:
        """End all members."""
        self._http.clear()
        for member in self._members:
            member.stop()
