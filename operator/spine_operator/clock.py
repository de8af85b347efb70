"""The only place where the operator reads a clock or sleeps."""

import asyncio
import time


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def monotonic_s() -> float:
    """Seconds of a clock that is never set back."""
    return time.monotonic()


async def sleep(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)  # noqa: TID251 - the clock module is the one that may
