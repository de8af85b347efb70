"""What a load generator reports."""

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

    @property
    def rate(self) -> float:
        """Acknowledged items a second."""
        return self.acknowledged / self.seconds
