"""Wakes the daemons: one event per cluster, a hint that something may have changed, never a fact."""

import asyncio
from collections import defaultdict

from spine_operator.naming import ClusterKey


class Wake:
    """Notifications for the daemons. One that comes while nobody waits is kept."""

    def __init__(self) -> None:
        self._events: defaultdict[ClusterKey, asyncio.Event] = defaultdict(asyncio.Event)

    def notify(self, key: ClusterKey) -> None:
        """Let the daemon of this cluster run its next pass now."""
        self._events[key].set()

    def notify_all(self) -> None:
        """Let every daemon run its next pass now."""
        for event in self._events.values():
            event.set()

    async def wait(self, key: ClusterKey, timeout_s: float) -> None:
        """Return after a notification or after the time, whichever is first."""
        event = self._events[key]
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return
        event.clear()

    def forget(self, key: ClusterKey) -> None:
        """Drop the event of a cluster that is gone."""
        self._events.pop(key, None)
