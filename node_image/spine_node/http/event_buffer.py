"""Events on their way to one client: what waits is bounded, and who takes nothing is told and let go.

The one who fills it waits for space; so a client that reads slowly, or reads a long past, is only behind,
and the feed keeps what it has not got. Source: api.md §2.4.
"""

import asyncio
from collections import deque
from typing import NamedTuple

from spine_node.clock import Clock
from spine_node.http.limits import WATCH_BUFFER_BYTES_MAX


class WatchTimes(NamedTuple):
    """How long a watch waits for what, in seconds."""

    keep_alive_s: float = 15.0  # of silence, then a comment
    lagging_s: float = 10.0  # with a full buffer of which nothing is taken
    check_s: float = 2.0  # between two looks whether the credential is still good


class EventBuffer:
    """Pieces that wait for one client."""

    def __init__(self, clock: Clock, times: WatchTimes) -> None:
        self._clock, self._times = clock, times
        self._pieces: deque[bytes] = deque()
        self._bytes = 0
        self._taken = 0
        self._ended = False
        self._filled, self._emptied = asyncio.Event(), asyncio.Event()

    async def put(self, piece: bytes) -> bool:
        """Add a piece when it fits; False when the client has taken nothing for too long."""
        while self._bytes and self._bytes + len(piece) > WATCH_BUFFER_BYTES_MAX:
            before = self._taken
            await self._clock.wait(self._emptied, self._times.lagging_s)
            if self._taken == before:
                return False
        self._append(piece)
        return True

    def replace(self, piece: bytes) -> None:
        """Drop all that waits, and end with this piece."""
        self._pieces.clear()
        self._bytes = 0
        self._append(piece)
        self.end()

    def end(self) -> None:
        """Add no more."""
        self._ended = True
        self._filled.set()

    async def take(self) -> bytes | None:
        """Return the next piece, None behind the last one, nothing after a silence."""
        if not self._pieces and not self._ended:
            await self._clock.wait(self._filled, self._times.keep_alive_s)
        if not self._pieces:
            return None if self._ended else b""
        piece = self._pieces.popleft()
        self._bytes -= len(piece)
        self._taken += 1
        self._emptied.set()
        return piece

    def _append(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._bytes += len(piece)
        self._filled.set()
