"""PostgreSQL load by its own `pgbench`: one prepared insert a transaction, the value as a parameter."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.load.result import LoadResult
from bench.memory import memory_id, memory_json

SCRIPT = Path(__file__).with_name("insert.sql")
_FACTS = {
    "acknowledged": re.compile(r"transactions actually processed: (\d+)"),
    "failed": re.compile(r"failed transactions: (\d+)"),
    "latency": re.compile(r"latency average = ([\d.]+) ms"),
    "rate": re.compile(r"tps = ([\d.]+)"),
}


@dataclass(frozen=True, slots=True)
class Pgbench:
    """Runs `pgbench` against a primary."""

    port: int
    connections: int

    def run(self, seconds: float, prefix: str) -> LoadResult:
        """Run for whole seconds; the value has one id, and each row a number of its own."""
        command = [
            *("pgbench", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-n"),
            *("-M", "prepared", "-c", str(self.connections), "-j", "2", "-T", str(round(seconds))),
            *("-f", str(SCRIPT), "-D", f"value={memory_json(memory_id(prefix, 0))}", "postgres"),
        ]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = {name: match[1] for name, one in _FACTS.items() if (match := one.search(text))}
        acknowledged, latency = int(found["acknowledged"]), float(found["latency"])
        return LoadResult(
            acknowledged=acknowledged,
            sent=acknowledged,  # it waits for the last answers
            errors=int(found.get("failed", "0")),
            seconds=acknowledged / float(found["rate"]),
            p50_ms=latency,  # of all: pgbench gives the mean
            p99_ms=0.0,
        )
