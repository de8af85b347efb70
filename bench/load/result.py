"""What a load generator reports."""

from collections.abc import Iterable
from typing import Self

import msgspec


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one generator.

    `sent` counts what may have been applied: the requests still in flight at the end are in it, and
    not in `acknowledged`. Both count items: a batch of fifty counts fifty.
    """

    acknowledged: int
    sent: int
    errors: int
    seconds: float
    p50_ms: float
    p99_ms: float
    bytes_read: int = 0  # of the answers, 0: not known

    @classmethod
    def of(
        cls, *, acknowledged: int, sent: int, errors: int, seconds: float,
        latencies_s: Iterable[float],
    ) -> Self:  # fmt: skip
        """Return the report of a generator that kept the time of each answer; none: 0 ms."""
        times = sorted(latencies_s) or [0.0]
        return cls(
            acknowledged=acknowledged,
            sent=sent,
            errors=errors,
            seconds=seconds,
            p50_ms=times[len(times) // 2] * 1e3,
            p99_ms=times[len(times) * 99 // 100] * 1e3,
        )

    @property
    def rate(self) -> float:
        """Acknowledged items a second."""
        return self.acknowledged / self.seconds
