"""Pulls the slots that a change gives to this store (protocol.md §4.3 R4, §10).

A slot counts as pulled when every page of each of its sources is durable here, its floor is taken
over, and a comparison of digests has found nothing older than the pull's beginning that we lack. Its
mark is durable and names the change, so a restart goes on where it was. Writes made meanwhile come
by themselves: this store is in the write set since it adopted the prepare document.
"""

import asyncio
import contextlib
import logging

import msgspec

from spine_core.replication.pull_sources import sources_of
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import Phase
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.topology_view import TopologyView
from spine_node.engine.replication.anti_entropy import (
    CALL_TIMEOUT_S,
    CHANGE,
    AntiEntropy,
    DamagedError,
    PullCutError,
)
from spine_node.engine.replication.pull_server import PAGE, ROOTS
from spine_node.engine.replication.throttle import Pace
from spine_node.engine.replication.transfer_progress import TransferProgress, TransferTracker
from spine_node.links.mesh import CallError
from spine_node.store import StorageError
from spine_node.store.operations import Merge

logger = logging.getLogger("spine.engine")

LOOK_S = 0.1  # how soon a new change is noticed
RETRY_S = 0.5  # after a source failed
SLOTS_TOGETHER = 16  # per slot of pace: they share round trips and commits
Sources = tuple[StoreNumber, ...]


class SlotTransfer:
    """Pulls gained slots whenever a change is in prepare."""

    def __init__(
        self, context: Context, pulling: AntiEntropy, gains: TransferTracker, pace: Pace
    ) -> None:
        self._pulling, self._gains, self._pace = pulling, gains, pace
        self._store, self._membership = context.store, context.membership
        self._replicas, self._hlc, self._clock = context.replicas, context.hlc, context.clock
        self._damaged: set[tuple[StoreNumber, Slot]] = set()  # R4 has other sources

    async def run(self) -> None:
        """Follow the changes, for ever."""
        while True:
            await self._clock.sleep(LOOK_S)
            view = self._membership.view
            progress = self._gains.follow(view)
            if view is None or progress is None or not progress.left:
                continue
            if self._pace.suspended or view.document.phase is not Phase.PREPARE:
                continue
            await self._pull(view, progress)
            if progress.left:
                await self._clock.sleep(RETRY_S)

    async def _pull(self, view: TopologyView, progress: TransferProgress) -> None:
        """Try every slot that is left once. One that fails holds up no other."""
        by_sources = self._by_sources(view, progress)
        progress.bytes_total = progress.bytes_done + await self._bytes_of(view, by_sources)
        for sources, left in by_sources.items():
            while left:
                if self._pace.suspended or view is not self._membership.view:
                    return
                together = SLOTS_TOGETHER * self._pace.slots
                async with asyncio.TaskGroup() as pulls:
                    for slot in left[:together]:
                        pulls.create_task(self._try_slot(view, progress, sources, slot))
                del left[:together]

    def _by_sources(
        self, view: TopologyView, progress: TransferProgress
    ) -> dict[Sources, list[Slot]]:
        """Group the slots still to be pulled by whom R4 lets us pull them from."""
        assert view.number is not None
        live = self._replicas.up()
        groups: dict[Sources, list[Slot]] = {}
        for slot in sorted(progress.left):
            whole = {source for source in live if (source, slot) not in self._damaged}
            sources = sources_of(view.placement, slot, view.number, whole)
            if sources is not None:
                groups.setdefault(sources, []).append(slot)
        return groups

    async def _bytes_of(self, view: TopologyView, groups: dict[Sources, list[Slot]]) -> int:
        total = 0
        for sources, slots in groups.items():
            with contextlib.suppress(CallError):  # then their pulls will say so
                roots = await self._replicas.ask(view, sources[0], ROOTS, slots, CALL_TIMEOUT_S)
                total += sum(size for _root, _floor, size in roots)
        return total

    async def _try_slot(
        self, view: TopologyView, progress: TransferProgress, sources: Sources, slot: Slot
    ) -> None:
        try:
            await self._pull_slot(view, progress, sources, slot)
        except (CallError, PullCutError, StorageError) as cut:
            facts = {"change": progress.change, "slot": slot, "why": str(cut)}
            logger.info("change_pull_cut", extra=facts)

    async def _pull_slot(
        self, view: TopologyView, progress: TransferProgress, sources: Sources, slot: Slot
    ) -> None:
        began = self._hlc.tick()
        for source in sources:
            try:
                await self._pages(view, progress, source, slot)
                while await self._pulling.pull_slots(view, source, [slot], began, reason=CHANGE):
                    pass
            except DamagedError:
                self._damaged.add((source, slot))
                raise
        await self._finish(view, progress, sources, slot)

    async def _pages(
        self, view: TopologyView, progress: TransferProgress, source: StoreNumber, slot: Slot
    ) -> None:
        after: bytes | None = None
        while True:
            body = [slot, after]
            records, after, floor = await self._replicas.ask(
                view, source, PAGE, body, CALL_TIMEOUT_S
            )
            await self._pulling.merge(view, records, reason=CHANGE)
            progress.bytes_done += sum(len(raw) for _, raw in records)
            if after is None:
                # only now: with the floor first, G1 would make us ignore every old record
                await self._settle(Merge(slot, view.epoch, (), floor, bootstrap=True))
                return

    async def _finish(
        self, view: TopologyView, progress: TransferProgress, sources: Sources, slot: Slot
    ) -> None:
        mark = msgspec.msgpack.encode((progress.change, sources, self._store.root(slot)))
        await self._settle(Merge(slot, view.epoch, (), bootstrap=True, mark=mark))
        progress.pulled.add(slot)
        progress.moved_at = self._clock.now()

    async def _settle(self, merge: Merge) -> None:
        reply = await self._store.submit(merge)
        if reply.status != "ok":
            raise PullCutError(reply.status)
