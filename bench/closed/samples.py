"""One measurement of one row, and the median of several."""

from statistics import median

import msgspec


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One round of one row; an item is a memory, a key or a table row."""

    rate: float  # acknowledged items a second
    cpu_us: float  # of all server processes, for one acknowledged item
    system_us: float  # of it, in the kernel
    first_threads_us: float  # of it, in the first thread of each process: a node's event loop
    p50_ms: float
    p99_ms: float  # 0: the generator does not tell
    errors: int
    load_average: float
    steal: float  # share of the machine that the host gave to others

    @property
    def facts(self) -> tuple[float, float]:
        """Return rate and CPU, which gates are made of."""
        return self.rate, self.cpu_us


def median_of(samples: list[Sample]) -> Sample:
    """Return the median of each field by itself."""
    fields = {
        name: median(getattr(sample, name) for sample in samples)
        for name in Sample.__struct_fields__
    }
    return Sample(**{**fields, "errors": sum(sample.errors for sample in samples)})
