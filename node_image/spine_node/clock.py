"""The one place of a node that reads clocks, sleeps and draws random numbers.

Milliseconds are since 1970, seconds are of the event loop's monotonic clock. A simulation gives its
own `Clock`; safety never depends on what it answers (protocol.md §1).
"""

import asyncio
import contextlib
import os
import random
import time


class Clock:
    """Wall clock, monotonic clock, sleep and chance of one process."""

    def physical_ms(self) -> int:
        """Milliseconds since 1970; may jump."""
        return time.time_ns() // 1_000_000

    def now(self) -> float:
        """Seconds of the event loop's clock; never jumps."""
        return time.monotonic()  # what every loop counts, without asking which one runs

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

    def entropy(self, count: int) -> bytes:
        """Random bytes, good enough for secrets."""
        return os.urandom(count)
