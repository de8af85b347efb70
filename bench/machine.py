"""What machine this is, and how busy others keep it: no figure means anything without."""

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Busyness:
    """A look at `/proc/stat`: what two of them differ by is what happened in between."""

    total: int  # ticks of all cores
    steal: int  # ticks that the host gave to others

    @classmethod
    def now(cls) -> Self:
        """Look."""
        ticks = [int(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        return cls(sum(ticks[:8]), ticks[7])

    def steal_share(self, before: Self) -> float:
        """Return the share of the time since an earlier look that was stolen."""
        return (self.steal - before.steal) / max(1, self.total - before.total)


def load_average() -> float:
    """Return the load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def describe() -> dict[str, str | int]:
    """Return what a reader must know of this machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), "?")
    memory = Path("/proc/meminfo").read_text().split(None, 2)[1]
    return {
        "cpu": model,
        "cores": os.cpu_count() or 1,
        "memory_gib": round(int(memory) / 2**20),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "python_loop_us": round(min(_loop_us() for _ in range(9))),
    }


def _loop_us() -> float:
    """Time a fixed loop: one version of Python differs by a fifth between a plain and an optimised build."""
    began = time.process_time()
    found: dict[int, tuple[int, str]] = {}
    for number in range(10_000):
        found[number & 1023] = (number, str(number))
    return (time.process_time() - began) * 1e6
