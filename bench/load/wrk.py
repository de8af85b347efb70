"""HTTP load by `wrk`: each of its threads has its own node. About 9 µs of client CPU a request."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.load.result import LoadResult

SCRIPTS = Path(__file__).parent


class _Summary(msgspec.Struct):
    requests: int
    sent: int  # items, as the script counts them
    bad: int
    seconds: float
    p50_ms: float
    p99_ms: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Wrk:
    """A script that is run against nodes (`host:port`), with variables of its own."""

    script: str
    nodes: Sequence[str]
    connections: int
    variables: dict[str, str]
    items: int = 1  # in one request

    def run(self, seconds: float, prefix: str) -> LoadResult:
        """Run for whole seconds; `prefix` begins every id that is written."""
        variables = {"NODES": ",".join(self.nodes), "PREFIX": prefix, "LUA": str(SCRIPTS)}
        command = [
            *("wrk", "-t", str(len(self.nodes)), "-c", str(self.connections)),
            *("-d", f"{max(1, round(seconds))}s", "--timeout", "30s"),
            *("-s", str(SCRIPTS / self.script), f"http://{self.nodes[0]}"),
        ]
        named = {f"BENCH_{name}": value for name, value in {**variables, **self.variables}.items()}
        done = subprocess.run(
            command, env={**os.environ, **named}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise OSError(f"wrk: {done.stdout}{done.stderr}")
        line = next(line for line in done.stdout.splitlines() if line.startswith("{"))
        found = msgspec.json.decode(line, type=_Summary)
        return LoadResult(
            acknowledged=(found.requests - found.bad) * self.items,
            sent=found.sent,
            errors=found.bad,
            seconds=found.seconds,
            p50_ms=found.p50_ms,
            p99_ms=found.p99_ms,
            bytes_read=found.bytes,
        )


def missing() -> str | None:
    """Return why there is no `wrk`."""
    return None if shutil.which("wrk") else "wrk is not installed: apt-get install wrk"
