"""Redis reads by its own `redis-benchmark`: a Python client could not keep up."""

import csv
import io
import subprocess
import time
from dataclasses import dataclass

from bench.load.result import LoadResult

KEYS = 10_000
_GUESS = 40_000  # requests a second, for the first run


@dataclass(slots=True)
class RedisBenchmark:
    """It takes a number of requests and no time, so the last run's rate gives the next number."""

    port: int
    connections: int
    _rate: float = _GUESS

    def run(self, seconds: float, prefix: str) -> LoadResult:  # noqa: ARG002 - reads write nothing
        """Run for about so many seconds."""
        count = max(1000, int(seconds * self._rate))
        command = [
            *("redis-benchmark", "-p", str(self.port), "-c", str(self.connections), "--csv"),
            *("-n", str(count), "-r", str(KEYS), "get", "key:__rand_int__"),
        ]
        began = time.monotonic()
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        taken = time.monotonic() - began
        [row] = csv.DictReader(io.StringIO(text))
        self._rate = float(row["rps"])
        return LoadResult(
            acknowledged=count,
            sent=count,
            errors=0,  # it ends at the first error
            seconds=min(taken, count / self._rate),
            p50_ms=float(row["p50_latency_ms"]),
            p99_ms=float(row["p99_latency_ms"]),
        )
