"""Lines in which coroutines wait for each other, one line a key."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)


class Turns(Generic[KeyT]):
    """First come, first served; a key that nobody waits for takes no memory."""

    def __init__(self) -> None:
        self._locks: defaultdict[KeyT, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: Counter[KeyT] = Counter()

    @asynccontextmanager
    async def of(self, key: KeyT, left_s: float) -> AsyncIterator[None]:
        """Hold the turn of a key.

        Raises:
            TimeoutError: it did not come within so many seconds.
        """
        self._waiting[key] += 1
        try:
            lock = self._locks[key]
            async with asyncio.timeout(max(0.0, left_s)):
                await lock.acquire()
            try:
                yield
            finally:
                lock.release()
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key], self._locks[key]
