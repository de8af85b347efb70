"""One measurement of one row, and the median of several."""

from statistics import median
from typing import Any

import msgspec


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One round of one row; an item is a memory, a key or a table row."""

    rate: float  # acknowledged items a second
    cpu_us: float  # of all server processes, for one acknowledged item
    system_us: float  # of it, in the kernel
    threads_us: dict[str, tuple[float, float]]  # user and system of each name; `spine`: event loops
    p50_ms: float
    p99_ms: float  # 0: the generator does not tell
    errors: int
    load_average: float
    steal: float  # share of the machine that the host gave to others

    @property
    def by_thread(self) -> str:
        """Return what the busiest threads took, user and system, as text."""
        busy = sorted(self.threads_us.items(), key=lambda one: -sum(one[1]))
        return ", ".join(
            f"{name} {user:.0f}+{system:.0f}" for name, (user, system) in busy if user + system > 1
        )

    @property
    def facts(self) -> tuple[float, float]:
        """Return rate and CPU, which gates are made of."""
        return self.rate, self.cpu_us


def median_of(samples: list[Sample]) -> Sample:
    """Return the median of each field by itself."""
    numbers = [name for name in Sample.__struct_fields__ if name != "threads_us"]
    fields: dict[str, Any] = {
        name: median(getattr(sample, name) for sample in samples) for name in numbers
    }
    fields["errors"] = sum(sample.errors for sample in samples)
    threads = {name for sample in samples for name in sample.threads_us}
    return Sample(**fields, threads_us={name: _median_times(samples, name) for name in threads})


def _median_times(samples: list[Sample], thread: str) -> tuple[float, float]:
    times = [sample.threads_us.get(thread, (0.0, 0.0)) for sample in samples]
    return median(user for user, _ in times), median(system for _, system in times)
