"""The one place of the client that reads clocks, sleeps and draws random numbers."""

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from socket import gethostname
from threading import get_ident


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


def _process() -> str:
    host = "".join(c for c in gethostname()[:64] if c.isascii() and c.isprintable())
    return f"{host}-{os.getpid()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Clocks and randomness, as the core asks for them; a test passes its own."""

    monotonic_s: Callable[[], float] = time.monotonic
    unix_ms: Callable[[], int] = _unix_ms
    uniform: Callable[[float, float], float] = random.uniform
    entropy: Callable[[int], bytes] = os.urandom
    process: Callable[[], str] = _process  # a name of this process that people understand

    def __reduce__(self) -> tuple[type["Environment"], tuple[()]]:
        """A copy has the clocks of the process it is in."""
        return Environment, ()


def sleep(seconds: float, until: Future[None] | None = None) -> None:
    """Block the calling thread, at most until this future is done."""
    if until is None and seconds:  # threads take their turns without being asked to
        time.sleep(seconds)  # noqa: TID251 - this is the clock module
    elif until is not None:
        with suppress(TimeoutError):
            until.result(seconds)


async def sleep_async(seconds: float, until: Future[None] | None = None) -> None:
    """Let other tasks run for so long, at most until this future is done.

    Tasks that wait in the loop in which it is done go on in that same turn: what they ask then travels
    together. `asyncio.wrap_future` would take another turn.
    """
    import asyncio  # noqa: PLC0415 - only programs that await should pay for it

    if until is None:
        await asyncio.sleep(seconds)  # noqa: TID251 - this is the clock module
        return
    loop, thread = asyncio.get_running_loop(), get_ident()
    woken = loop.create_future()

    def done(_until: Future[None] | None = None) -> None:
        if get_ident() != thread:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(done)
        elif not woken.done():
            woken.set_result(None)

    timer = loop.call_later(seconds, done)
    until.add_done_callback(done)
    try:
        await woken
    finally:
        timer.cancel()
