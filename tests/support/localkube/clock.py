"""The only module of this package that reads a clock or sleeps. Seconds everywhere."""

import datetime as dt
import time
from collections.abc import Callable
from typing import TypeVar

from localkube.errors import DeadlineError

POLL_S = 0.1  # short beside everything a cluster does, long beside one API call
T = TypeVar("T")


def now_s() -> float:
    """Return a monotonic reading; only differences mean something."""
    return time.monotonic()


def utc_now() -> dt.datetime:
    """Return the time of day, for certificates."""
    return dt.datetime.now(dt.UTC)  # noqa: TID251 - this module is the clock


def unix_s() -> float:
    """Return the time of day in seconds, for journals of several processes."""
    return time.time()  # noqa: TID251 - this module is the clock


def pause(seconds: float) -> None:
    """Let time pass between two looks at the world."""
    time.sleep(seconds)  # noqa: TID251 - this module is the clock


def until(
    what: str,
    condition: Callable[[], T],
    *,
    deadline_s: float = 60,
    poll_s: float = POLL_S,
) -> T:
    """Return the first true value of `condition`.

    Raises:
        DeadlineError: no true value within `deadline_s`; names `what` and the last value.
    """
    end_s = now_s() + deadline_s
    while not (value := condition()):
        if now_s() > end_s:
            raise DeadlineError(what, deadline_s, value)
        pause(poll_s)
    return value
