"""A token bucket: `burst` requests at once, `per_second` in the long run. Time is an argument."""


class TokenBucket:
    """The allowance of one credential on one node."""

    __slots__ = ("_burst", "_per_second", "_tokens", "_updated_s")

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._updated_s = 0.0

    def take(self, now_s: float) -> float:
        """Take one token and return 0, or return the seconds until there is one."""
        earned = (now_s - self._updated_s) * self._per_second
        self._tokens = min(self._burst, self._tokens + earned)
        self._updated_s = now_s
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_second
        self._tokens -= 1
        return 0.0
