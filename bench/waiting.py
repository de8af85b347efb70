"""The clock of the benchmark: the one place where it sleeps or reads the time of day."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

POLL_S = 0.05
DEADLINE_S = 60.0


def pause(seconds: float) -> None:
    """Let so much time pass."""
    time.sleep(max(0.0, seconds))  # noqa: TID251 - this is the clock module


def today() -> str:
    """Return the date and time for a report, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M")  # noqa: TID251 - this is the clock module


def until(what: str, look: Callable[[], bool], *, deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it did not come true in time.
    """
    end = time.monotonic() + deadline_s
    while not look():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {deadline_s:.0f} s: {what}")
        pause(POLL_S)
