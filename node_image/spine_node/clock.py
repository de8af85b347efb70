"""The one place of a node that reads clocks, sleeps and draws random numbers.

Milliseconds are since 1970, seconds are of the event loop's monotonic clock. A simulation gives its
own `Clock`; safety never depends on what it answers (protocol.md §1).
"""

import asyncio
import contextlib
import os
import random
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar

Member = TypeVar("Member")


class Clock:
    """Wall clock, monotonic clock, sleep and chance of one process."""

    def physical_ms(self) -> int:
        """Milliseconds since 1970; may jump."""
        return time.time_ns() // 1_000_000

    def now(self) -> float:
        """Seconds of the running loop; never jumps."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Let others run for so long."""
        await asyncio.sleep(max(0.0, seconds))  # noqa: TID251 - this is the clock module

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for an event, but no longer than so many seconds; clear it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        event.clear()

    def jittered(self, seconds: float) -> float:
        """Draw from seconds ± 20 %, so that nodes do not march in step."""
        return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - not for secrets

    def sample(self, population: list[Member], count: int) -> list[Member]:
        """Draw `count` different members, all when there are fewer."""
        return random.sample(population, min(count, len(population)))

    def entropy(self, count: int) -> bytes:
        """Random bytes, good enough for secrets."""
        return os.urandom(count)


def rfc3339(ms: int) -> str:
    """Write milliseconds since 1970 as RFC 3339 in UTC with milliseconds."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=4096)  # many records and log lines of the same seconds
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
