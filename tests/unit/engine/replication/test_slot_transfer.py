"""A gained slot is pulled whole, from the sources that have it all, before it counts as pulled."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from spine_core.replication.pull_sources import displaced_by
from spine_core.replication.put_rules import PutKind
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import Document
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.engine.replication.pull_server import PullLimits
from spine_node.engine.replication.slot_transfer import SlotTransfer
from spine_node.engine.replication.transfer_progress import (
    PullCheckpoint,
    TransferProgress,
    TransferTracker,
)
from spine_node.links.frames import EMPTY
from spine_node.links.methods import Handler
from spine_node.store import Store
from spine_node.store.operations import RaiseFloor
from unit.engine.harness import ManualClock, joining_store
from unit.engine.replication.peers import Puller, document_of, give, puller_of, serve_pulls
from unit.store.harness import StoreHarness, at, damaged, hlc, key, put, record

JOINER = StoreNumber(4)
NAMES = [f"n{number}" for number in range(9)]
OLD = at(-60_000)


@dataclass(slots=True)
class Joining:
    """A store that joins three others, which hold NAMES in every slot."""

    puller: Puller
    transfer: SlotTransfer
    document: Document
    sources: list[Store]
    handlers: list[dict[str, Handler]]
    progress: TransferProgress

    @property
    def view(self) -> MemberView:
        return self.puller.context.membership.member_view()

    @property
    def gained(self) -> list[Slot]:
        return sorted(self.progress.gained)

    async def pull(self) -> None:
        """Try every pending slot once."""
        await self.transfer._pull(self.view, self.progress)

    def checkpoint(self, slot: int) -> PullCheckpoint | None:
        raw = self.puller.context.store.pull_checkpoint(slot)
        return None if raw is None else msgspec.msgpack.decode(raw, type=PullCheckpoint)


@pytest.fixture
async def joining(store: Store, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Joining]:
    async with AsyncExitStack() as opened:
        sources = []
        for seat in "abc":
            sources.append(StoreHarness(tmp_path / seat).open())
            opened.push_async_callback(sources[-1].close, clean=False)
        document = joining_store(document_of(*sources), store.identity.store_id)
        puller = await puller_of(store, document, clock)
        tracker = TransferTracker(store, clock)
        progress = tracker.follow(puller.context.membership.member_view())
        assert progress is not None
        handlers = [
            await serve_pulls(puller, source, document, [number], PullLimits(page_records_max=2))
            for number, source in enumerate(sources, 1)
        ]
        for source in sources:
            await give(source, progress.gained, NAMES, OLD, epoch=document.epoch)
        transfer = SlotTransfer(puller.context, puller.mover, tracker, puller.throttle)
        yield Joining(puller, transfer, document, sources, handlers, progress)


async def test_a_slot_of_many_pages_is_pulled_whole_from_the_store_it_displaces(
    joining: Joining, store: Store
) -> None:
    await joining.pull()
    assert joining.progress.pulled == joining.progress.gained
    for slot in joining.gained:
        displaced = displaced_by(joining.view.placement, slot, JOINER)
        assert store.root(slot) == joining.sources[displaced - 1].root(slot)
        expected = PullCheckpoint(joining.progress.change, (displaced,), store.root(slot))
        assert joining.checkpoint(slot) == expected


async def test_old_records_below_the_floor_come_and_the_floor_after_them(
    joining: Joining, store: Store
) -> None:
    for slot in joining.gained:
        for source in joining.sources:
            await source.submit(RaiseFloor(slot, hlc(0)))
    await joining.pull()
    for slot in joining.gained:
        assert store.slot_stats(slot)[0] == len(NAMES)
        assert store.floor(slot) == hlc(0)


async def test_a_slot_whose_source_refuses_is_not_pulled_and_holds_up_no_other(
    joining: Joining,
) -> None:
    first = joining.gained[0]
    displaced = displaced_by(joining.view.placement, first, JOINER)
    handlers = joining.handlers[displaced - 1]
    page, refused = handlers["page"], list[int]()

    def refuse_once(header: object, body: msgspec.Raw) -> object:
        if not refused:
            refused.append(1)
            return ReplicaStatus.BUSY, EMPTY
        return page(header, body)  # type: ignore[arg-type]

    handlers["page"] = refuse_once  # type: ignore[assignment]
    await joining.pull()
    (pending,) = joining.progress.pending
    assert joining.checkpoint(pending) is None
    await joining.pull()
    assert not joining.progress.pending


async def test_two_others_stand_in_for_a_source_whose_copy_is_damaged(
    joining: Joining, store: Store
) -> None:
    slot = joining.gained[0]
    displaced = displaced_by(joining.view.placement, slot, JOINER)
    raw = damaged(record(at(-50_000)))
    bad = put(
        slot, at(-50_000), "bad", raw=raw, epoch=joining.document.epoch, kind=PutKind.WRITE_BACK
    )
    await joining.sources[displaced - 1].submit(bad)
    others = [number for number in (1, 2, 3) if number != displaced]
    for number in others:  # each has acknowledged a write that the other has not
        name = [f"only-{number}"]
        source = joining.sources[number - 1]
        await give(source, [slot], name, OLD, epoch=joining.document.epoch)
    await joining.pull()
    assert joining.progress.pending == {slot}
    await joining.pull()
    checkpoint = joining.checkpoint(slot)
    assert checkpoint is not None
    assert sorted(checkpoint.sources) == others
    for number in others:
        assert store.get(key(slot, f"only-{number}")) is not None
    assert store.get(bad.records[0].key) is None
