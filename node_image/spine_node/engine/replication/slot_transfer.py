"""The full transfer of slots that a change gives to this store (protocol.md §4.3 R4, §10).

A slot counts as pulled when every page of each of its sources is durable here, its floor is taken
over, and a comparison of digests has found nothing older than the pull's beginning that we lack. Its
checkpoint is durable and names the change, so a restart goes on where it was. Writes made meanwhile
come by the live write path: this store is in the write set since it adopted the prepare document.
"""

import asyncio
import contextlib
import logging

import msgspec

from spine_core.replication.pull_sources import sources_of
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import Phase
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.engine.replication.mover import (
    CALL_TIMEOUT_S,
    DamagedSourceError,
    Mover,
    PullCutError,
    PullReason,
    size_of,
)
from spine_node.engine.replication.pull_server import PAGE, ROOTS, PageCall, SlotsCall
from spine_node.engine.replication.throttle import Throttle
from spine_node.engine.replication.transfer_progress import (
    PullCheckpoint,
    TransferProgress,
    TransferTracker,
)
from spine_node.links.mesh import CallError
from spine_node.store import StorageError

logger = logging.getLogger("spine.engine")

CHANGE_POLL_S = 0.1  # how soon a new change is noticed
SOURCE_RETRY_S = 0.5  # after a source failed
SLOTS_TOGETHER = 16  # per slot of the throttle: they share round trips and commits
Sources = tuple[StoreNumber, ...]


class SlotTransfer:
    """Pulls gained slots whenever a change is in prepare."""

    def __init__(
        self, context: Context, mover: Mover, transfers: TransferTracker, throttle: Throttle
    ) -> None:
        self._mover, self._transfers, self._throttle = mover, transfers, throttle
        self._store, self._membership = context.store, context.membership
        self._replicas, self._hlc, self._clock = context.replicas, context.hlc, context.clock
        self._damaged: set[tuple[StoreNumber, Slot]] = set()  # R4 has other sources

    async def run(self) -> None:
        """Follow the changes, for ever."""
        while True:
            await self._clock.sleep(CHANGE_POLL_S)
            view = self._membership.member
            progress = self._transfers.follow(view)
            if view is None or progress is None or not progress.pending:
                continue
            if self._throttle.suspended or view.document.phase is not Phase.PREPARE:
                continue
            await self._pull(view, progress)
            if progress.pending:
                await self._clock.sleep(SOURCE_RETRY_S)

    async def _pull(self, view: MemberView, progress: TransferProgress) -> None:
        """Try every pending slot once. One that fails holds up no other."""
        by_sources = self._by_sources(view, progress)
        progress.bytes_total = progress.bytes_done + await self._bytes_of(view, by_sources)
        for sources, pending in by_sources.items():
            while pending:
                if self._throttle.suspended or view is not self._membership.view:
                    return
                together = SLOTS_TOGETHER * self._throttle.slots
                async with asyncio.TaskGroup() as pulls:
                    for slot in pending[:together]:
                        pulls.create_task(self._try_slot(view, progress, sources, slot))
                del pending[:together]

    def _by_sources(
        self, view: MemberView, progress: TransferProgress
    ) -> dict[Sources, list[Slot]]:
        """Group the pending slots by the sources that they must be pulled from (R4)."""
        live = self._replicas.up()
        groups: dict[Sources, list[Slot]] = {}
        for slot in sorted(progress.pending):
            whole = {source for source in live if (source, slot) not in self._damaged}
            sources = sources_of(view.placement, slot, view.number, whole)
            if sources is not None:
                groups.setdefault(sources, []).append(slot)
        return groups

    async def _bytes_of(self, view: MemberView, groups: dict[Sources, list[Slot]]) -> int:
        total = 0
        for sources, slots in groups.items():
            with contextlib.suppress(CallError):  # then their pulls will say so
                call = SlotsCall(slots)
                reply = await self._replicas.ask(view, sources[0], ROOTS, call, CALL_TIMEOUT_S)
                total += sum(root.bytes for root in reply.roots)
        return total

    async def _try_slot(
        self, view: MemberView, progress: TransferProgress, sources: Sources, slot: Slot
    ) -> None:
        try:
            await self._pull_slot(view, progress, sources, slot)
        except (CallError, PullCutError, StorageError) as cut:
            facts = {"change": progress.change, "slot": slot, "why": str(cut)}
            logger.info("change_pull_cut", extra=facts)

    async def _pull_slot(
        self, view: MemberView, progress: TransferProgress, sources: Sources, slot: Slot
    ) -> None:
        began = self._hlc.tick()
        for source in sources:
            try:
                await self._pages(view, progress, source, slot)
                while await self._mover.pull(view, source, [slot], began, reason=PullReason.CHANGE):
                    pass
            except DamagedSourceError:
                self._damaged.add((source, slot))
                raise
        await self._finish(view, progress, sources, slot)

    async def _pages(
        self, view: MemberView, progress: TransferProgress, source: StoreNumber, slot: Slot
    ) -> None:
        after: bytes | None = None
        while True:
            call = PageCall(slot, after)
            page = await self._replicas.ask(view, source, PAGE, call, CALL_TIMEOUT_S)
            await self._mover.merge(view, page.entries, reason=PullReason.CHANGE)
            progress.bytes_done += sum(map(size_of, page.entries))
            after = page.after
            if after is None:
                # Adopt the floor last: a key that is missing and below the floor is treated as
                # purged, so with the floor first no old record would be taken.
                await self._mover.finish(view, slot, floor=page.floor)
                return

    async def _finish(
        self, view: MemberView, progress: TransferProgress, sources: Sources, slot: Slot
    ) -> None:
        checkpoint = PullCheckpoint(progress.change, sources, self._store.root(slot))
        await self._mover.finish(view, slot, checkpoint=msgspec.msgpack.encode(checkpoint))
        progress.pulled.add(slot)
        progress.moved_at = self._clock.now()
