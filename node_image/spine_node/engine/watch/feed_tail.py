"""Waiting at the head of this store's feed until a namespace changes.

A commit is looked at once for all that wait: the namespaces in the keys of its entries wake those whom
they concern, and everybody else moves on. So a watch costs the writes of other namespaces nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from spine_node.clock import Clock
from spine_node.engine.watch.watched import Watched
from spine_node.store import CursorExpiredError, FeedEntry, Store
from spine_node.store.layout import namespace_of_key
from spine_node.store.subscription import entries_behind

ENTRIES_AT_ONCE = 2000  # about 2 ms of the event loop


@dataclass(eq=False, slots=True)
class _Waiter:
    position: int  # nothing up to here concerns it
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class FeedTail:
    """The one reader of the newest entries, while anybody waits for some."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._waiting: dict[Watched, list[_Waiter]] = {}
        self._position = 0
        self._scheduled = False
        store.watch_feed(self._note)

    async def wait(self, watched: Watched, position: int, seconds: float) -> int:
        """Wait for a change of what is watched; return a position up to which there is none.

        Whoever begins to wait has read the feed to its head, which is `position`.
        """
        self._look()
        assert position == self._store.feed_head(), "what lies between was not read"
        self._position = position
        waiter = _Waiter(position)
        self._waiting.setdefault(watched, []).append(waiter)
        try:
            await self._clock.wait(waiter.woken, seconds)
        finally:
            same = self._waiting[watched]
            same.remove(waiter)
            if not same:
                del self._waiting[watched]
        return waiter.position

    def wake(self) -> None:
        """End every wait: the epoch has changed, or this node stops."""
        for waiters in self._waiting.values():
            for waiter in waiters:
                waiter.woken.set()

    def _note(self, _head: int) -> None:
        """Look at a commit soon: it is not acknowledged yet."""
        if self._waiting and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._scheduled = False
        try:
            while self._waiting and (entries := self._next()):
                self._pass_on(entries)
        except CursorExpiredError:  # they find it out by themselves
            self.wake()

    def _next(self) -> Sequence[FeedEntry]:
        return entries_behind(self._store, self._position, ENTRIES_AT_ONCE)

    def _pass_on(self, entries: Sequence[FeedEntry]) -> None:
        """Wake whom these entries concern, and let all others move on behind them."""
        changed = {namespace_of_key(entry.key) for entry in entries}
        self._position = entries[-1].seq
        for watched, waiters in self._waiting.items():
            concerned = any(map(watched.covers, changed))
            for waiter in waiters:
                if concerned:
                    waiter.woken.set()
                elif not waiter.woken.is_set():
                    waiter.position = self._position
