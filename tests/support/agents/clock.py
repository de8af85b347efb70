"""The one place of agents and process tests that waits by time: paces and polls, never outcomes."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

DEADLINE_S = 60.0
POLL_S = 0.1


async def pause(seconds: float) -> None:
    """Let so much time pass."""
    await asyncio.sleep(max(0.0, seconds))  # noqa: TID251 - this is the clock module


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but no longer than so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()


def unix_second() -> int:
    """Return the wall clock: for journals, never for rules."""
    return int(time.time())  # noqa: TID251 - this is the clock module


async def until(
    what: str, look: Callable[[], Awaitable[bool]], *, deadline_s: float = DEADLINE_S
) -> None:
    """Wait for a condition.

    Raises:
        AssertionError: it did not come true in time.
    """
    end = time.monotonic() + deadline_s
    while not await look():
        assert time.monotonic() < end, f"not within {deadline_s:.0f} s: {what}"
        await pause(POLL_S)
