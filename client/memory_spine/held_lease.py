"""A lease in the hands of its holder: for how long it may be relied on.

Rules
- The holder counts from the moment at which it *began to ask*, on its own monotonic clock, and stops a
  tenth of the time early. So its lease ends before the server gives it to another, as long as its clock
  is not a tenth slower.
- A lease that was lost or given back stays so, even if a late answer says otherwise.
- It is advice. What protects a memory is the fence in each write.

Source: api.md §2.5.
"""

from collections.abc import Callable
from concurrent.futures import Future

from memory_spine.core import Core
from memory_spine.errors import error_of
from memory_spine.forks import Lock
from memory_spine.models import LeaseGrant

MARGIN = 0.1  # of its time, before the end, in which the holder no longer relies on a lease
RENEWALS = 3  # in one time to live: two may fail
TIME_IS_OVER = "it was not renewed in time"


class HeldLease:
    """A lease that was granted. Threads share it.

    It can be given as a `fence`; `str(lease)` is the fence to hand on to another process.
    """

    def __init__(
        self,
        core: Core,
        grant: LeaseGrant,
        sent_s: float,
        on_lost: Callable[[], object] | None = None,
    ) -> None:
        self.key = grant.key
        self.holder = grant.holder
        self.fence = grant.fence
        self.ttl_ms = grant.ttl_ms
        self.ended: Future[None] = Future()  # done when it was lost or given back
        self._core = core
        self._sent_s = sent_s
        self._on_lost = on_lost
        self._why_ended = TIME_IS_OVER
        self._lock = Lock()

    def __str__(self) -> str:
        return f"{self.key}={self.fence}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self}, holder={self.holder!r})"

    @property
    def expires_in(self) -> float:
        """Seconds for which it may still be relied on; 0 when it is lost."""
        if self.ended.done():
            return 0.0
        return max(0.0, self._after_s(self.ttl_ms / 1000 * (1.0 - MARGIN)))

    @property
    def renewal_in(self) -> float:
        """Seconds until it should be renewed."""
        return max(0.0, self._after_s(self.ttl_ms / 1000 / RENEWALS))

    @property
    def lost(self) -> bool:
        """Whether it may no longer be relied on: passed on, not renewed in time, or given back."""
        return self.expires_in == 0.0

    def check(self) -> None:
        """Do nothing while the lease is held.

        Raises:
            LeaseLost: it is not; what it stands for may be another's.
        """
        if self.lost:
            detail = f"the lease {self.key} is not held any more: {self._why_ended}"
            raise error_of({"code": "lease-lost", "detail": detail, "outcome": "not-applied"}, 409)

    def extend(self, grant: LeaseGrant, sent_s: float) -> None:
        """Count anew, from when this renewal was asked for."""
        with self._lock:
            if sent_s > self._sent_s:
                self.ttl_ms, self._sent_s = grant.ttl_ms, sent_s

    def end(self, why: str) -> bool:
        """It is not held any more, for good; return whether it was until now."""
        with self._lock:
            if self.ended.done():
                return False
            self._why_ended = why
            self.ended.set_result(None)
        return True

    def lose(self, why: str) -> None:
        """End it and tell its owner, once."""
        if self.end(why) and self._on_lost is not None:
            self._on_lost()

    def _after_s(self, seconds: float) -> float:
        """Return what is left of so many seconds since it was asked for."""
        return self._sent_s + seconds - self._core.environment.monotonic_s()
