"""The double of an open watch: it gives what a test puts into it."""

import asyncio
import contextlib

from spine_core.errors import ProblemError
from spine_node.ports import Changes

FIRST_CURSOR = "cursor-0"


class MemoryWatch:
    """What `spine_node.ports.Watch` promises, fed by a test."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[Changes | ProblemError] = asyncio.Queue()
        self.cursor = FIRST_CURSOR
        self.asked: list[tuple[int, float]] = []  # limit, seconds
        self.closed = False

    async def next(self, limit: int, wait_s: float) -> Changes:
        """Return what comes first: changes, a failure, or the end of the wait."""
        self.asked.append((limit, wait_s))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                changes = await self.waiting.get()
                if isinstance(changes, ProblemError):
                    raise changes
                self.cursor = changes.cursor
                return changes
        return Changes(cursor=self.cursor)

    async def close(self) -> None:
        """Note that it was given back."""
        assert not self.closed, "closed twice"
        self.closed = True
