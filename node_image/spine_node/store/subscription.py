"""Following the feed from a position: what was written since, in order, woken by each commit.

A follower keeps its position where it keeps what it made of the feed. A position that does not lead on
from what the feed still holds is told at once, so that nobody follows across a gap. Event loop only.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from spine_node.store.errors import CursorExpiredError
from spine_node.store.feed import FeedEntry

FeedListener = Callable[[int], None]  # told the sequence number of the newest entry


class Feed(Protocol):
    """What a subscription asks of a store."""

    def feed_head(self) -> int:
        """Return the sequence number of the newest entry, 0 before the first."""

    def feed_since(self, seq: int, limit: int) -> Sequence[FeedEntry]:
        """Return the entries above `seq`, oldest first, at most `limit`."""

    def watch_feed(self, listener: FeedListener) -> Callable[[], None]:
        """Call `listener` after each commit that changed records; the result ends it."""


class Subscription:
    """One follower of the feed. `position` is the last entry that it is done with."""

    def __init__(self, feed: Feed, after: int) -> None:
        """Begin behind a position.

        Raises:
            CursorExpiredError: the feed does not lead on from there.
        """
        self.position = after
        self._feed = feed
        self._woken = asyncio.Event()
        self._needed = 1  # entries that end the wait
        self.read(1)
        self.close = feed.watch_feed(self._note)

    @property
    def waiting(self) -> int:
        """How many entries lie behind the position."""
        return self._feed.feed_head() - self.position

    def read(self, limit: int) -> Sequence[FeedEntry]:
        """Return the next entries, the same ones until `advance`; none when there are no more.

        Raises:
            CursorExpiredError: the oldest of them are no longer kept.
        """
        return entries_behind(self._feed, self.position, limit)

    def advance(self, position: int) -> None:
        """Go on behind an entry, once what was made of it cannot be lost."""
        assert self.position <= position <= self._feed.feed_head()
        self.position = position

    async def wait(self, entries: int = 1) -> None:
        """Return when so many entries wait, or `wake` was called."""
        self._needed = entries
        if self.waiting < entries:
            await self._woken.wait()
        self._woken.clear()

    def wake(self) -> None:
        """End the wait, this one or the next."""
        self._woken.set()

    def _note(self, head: int) -> None:
        if head - self.position >= self._needed:
            self._woken.set()


def entries_behind(feed: Feed, position: int, limit: int) -> Sequence[FeedEntry]:
    """Return the entries behind a position, at most `limit`; none when there are no more.

    Raises:
        CursorExpiredError: the oldest of them are no longer kept, or the position was never reached.
    """
    head = feed.feed_head()
    if position == head:
        return ()
    entries = feed.feed_since(position, limit)
    if not entries or entries[0].seq != position + 1:
        raise CursorExpiredError(position, head)
    # The file may hold more already: what is committed and not yet shown comes the next time.
    return [entry for entry in entries if entry.seq <= head]
