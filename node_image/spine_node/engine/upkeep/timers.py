"""Periodic tasks of a node: health check, file reload, garbage collection."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spine_core.records.versions import hlc_from_ms, ms_of
from spine_core.scalars import HLC_ZERO
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.stable_time import StableTimes
from spine_node.engine.upkeep.health import Health
from spine_node.engine.upkeep.slot_gc import SlotGarbageCollector
from spine_node.search.index import QueryIndex
from spine_node.search.indexer import IndexUnreadableError
from spine_node.store import StorageError
from spine_node.store.operations import TrimFeed

logger = logging.getLogger("spine.node")

TICK_S = 1.0  # health, metrics, and how late the loop runs
REFRESH_S = 5.0  # files that may change while the node runs
CLEAN_S = 60.0  # old feed rows, unowned slots, index rows of dropped records; at most drop_after
FEED_KEPT_MS = 7 * 24 * 3600 * 1000


@dataclass(slots=True, kw_only=True)
class Upkeep:
    """The periodic tasks of one node. `refreshers` read files again that may have changed."""

    context: Context
    health: Health
    stable: StableTimes
    index: QueryIndex
    slot_gc: SlotGarbageCollector
    refreshers: Sequence[Callable[[], None]]

    async def run(self) -> None:
        """Run both loops until cancelled: garbage collection may take long and delays no health check."""
        async with asyncio.TaskGroup() as clockwork:
            clockwork.create_task(self._look())
            clockwork.create_task(self._clean())

    async def _look(self) -> None:
        clock, metrics = self.context.clock, self.context.metrics
        refreshed = clock.now()
        while True:
            before = clock.now()
            await clock.sleep(TICK_S)
            now = clock.now()
            metrics.loop_lag.set(max(0.0, now - before - TICK_S))
            self.health.look()
            self._measure()
            if now - refreshed >= REFRESH_S:
                refreshed = now
                for refresh in self.refreshers:
                    refresh()

    async def _clean(self) -> None:
        while True:
            await self.context.clock.sleep(max(TICK_S, min(CLEAN_S, self.slot_gc.drop_after_s)))
            try:
                await self._clean_once()
            except (StorageError, IndexUnreadableError) as error:
                logger.warning("garbage_collection_cut", extra={"why": str(error)})

    async def _clean_once(self) -> None:
        """Remove old feed rows, and slots that belong to other stores."""
        before = hlc_from_ms(max(0, self.context.clock.physical_ms() - FEED_KEPT_MS))
        while await self.context.store.submit(TrimFeed(before)):
            pass
        if await self.slot_gc.run_once():
            await self.index.sweep()

    def _measure(self) -> None:
        context, view = self.context, self.context.membership.view
        if view is None or view.number is None:
            return
        groups = view.placement.groups.items()
        mine = [slots[0] for (a, b), slots in groups if view.number in (*a, *b)]
        oldest = min((self.stable.of(view, slot) for slot in mine), default=HLC_ZERO)
        if oldest:
            lag_ms = context.clock.physical_ms() - ms_of(oldest)
            context.metrics.replication_lag.set(max(0, lag_ms) / 1000)
        counts = [len(view.placement.slots_of(number)) for number in view.document.members()]
        context.metrics.partition_skew.set(max(counts) * len(counts) / max(1, sum(counts)))
