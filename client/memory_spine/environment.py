"""The one place of the client that reads clocks, sleeps and draws random numbers."""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Clocks and randomness, as the core asks for them; a test passes its own."""

    monotonic_s: Callable[[], float] = time.monotonic
    unix_ms: Callable[[], int] = _unix_ms
    uniform: Callable[[float, float], float] = random.uniform
    entropy: Callable[[int], bytes] = os.urandom

    def __reduce__(self) -> tuple[type["Environment"], tuple[()]]:
        """A copy has the clocks of the process it is in."""
        return Environment, ()


def sleep(seconds: float) -> None:
    """Block the calling thread."""
    time.sleep(seconds)  # noqa: TID251 - this is the clock module


async def sleep_async(seconds: float) -> None:
    """Let other tasks run for so long."""
    import asyncio  # noqa: PLC0415 - only programs that await should pay for it

    await asyncio.sleep(seconds)  # noqa: TID251 - this is the clock module
