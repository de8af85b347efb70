"""The one place of the command that reads clocks, sleeps and draws random bytes."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Clock, sleep and randomness of a command; a test passes its own."""

    unix_ms: Callable[[], int] = _unix_ms
    sleep: Callable[[float], None] = time.sleep  # noqa: TID251 - this is the clock module
    entropy: Callable[[int], bytes] = os.urandom
