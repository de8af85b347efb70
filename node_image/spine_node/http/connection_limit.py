"""How many connections a node holds, and what it does and says when they run out.

Each takes a file descriptor, and a process has a fixed number of them. A node that lets idle clients
take the last one can neither accept a client nor open a file, and says nothing. Pure but for the log.
"""

import logging
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

SPARE: Final = (
    128  # descriptors kept for the store, the index, links to other nodes, new connections
)
MAXIMUM: Final = 60_000  # beyond it memory runs out before descriptors do
CLOSED_AT_ONCE: Final = 64  # one in so many of them, so that not each new one costs a look at all
LOG_EVERY_S: Final = 10.0
TOLD_S: Final = 60.0  # so long the probes tell of a shortage


class ConnectionLimit:
    """The connections of one listening node.

    Args:
        maximum: connections at once.
        now: seconds of the loop's clock.
        count: told of every connection that was closed by the limit: `idle` or `refused`.
    """

    def __init__(
        self, maximum: int, now: Callable[[], float], count: Callable[[str], object]
    ) -> None:
        self.maximum = maximum
        self._now = now
        self._count = count
        self._short_at: float | None = None
        self._logged_at: float | None = None
        self._unlogged = {"idle": 0, "refused": 0}

    def excess(self, held: int) -> int:
        """Return how many connections must go; some more than needed, for those that come next."""
        return 0 if held <= self.maximum else held - self.maximum + self.maximum // CLOSED_AT_ONCE

    def note(self, *, idle: int, refused: int) -> None:
        """Count what was closed, and say so in the log now and then."""
        now = self._short_at = self._now()
        for reason, number in (("idle", idle), ("refused", refused)):
            self._unlogged[reason] += number
            for _ in range(number):
                self._count(reason)
        if self._logged_at is None or now - self._logged_at >= LOG_EVERY_S:
            self._logged_at = now
            logger.warning("connections_short", extra={"maximum": self.maximum, **self._unlogged})
            self._unlogged = {"idle": 0, "refused": 0}

    def shortage(self) -> str | None:
        """Return what the probes say about a shortage of the last minute."""
        if self._short_at is None or self._now() - self._short_at > TOLD_S:
            return None
        return (
            f"more than {self.maximum} connections: the idle ones are closed (raise the limit of"
            " open files, or use fewer clients)"
        )


def maximum_of(descriptors: int) -> int:
    """Return the connections that a process with so many descriptors may hold."""
    return min(MAXIMUM, descriptors - min(SPARE, descriptors // 2))
