"""A round of anti-entropy moves our row of the sync matrix exactly as far as its pulls have come."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc, Slot, StoreNumber
from spine_node.engine.cluster.stable_time import StableTimes
from spine_node.engine.replication.anti_entropy import YOUNG_MS, AntiEntropy
from spine_node.engine.replication.transfer_progress import TransferTracker
from spine_node.links.frames import EMPTY, Body, CallHeader
from spine_node.links.methods import CallResult, Handler
from spine_node.store import Store
from unit.engine.harness import ManualClock, joining_store
from unit.engine.replication.peers import Puller, document_of, give, puller_of, serve_pulls
from unit.store.harness import StoreHarness, at

PEER = StoreNumber(2)
SLOT = Slot(5)
NAMES = ["one", "two", "three"]
OLD = at(-60_000)


@dataclass(slots=True)
class Rounds:
    """A node of three, one of which it can pull from."""

    puller: Puller
    anti_entropy: AntiEntropy
    stable: StableTimes
    source: Store
    handlers: dict[str, Handler]

    async def run(self) -> bool:
        """Make one round; return whether it was complete."""
        return await self.anti_entropy._round(self.puller.context.membership.member_view())

    @property
    def row(self) -> Hlc | None:
        """When the last complete pull from the peer began."""
        return self.anti_entropy.row().get(PEER)

    def refuse(self, method: str) -> None:
        """Let the peer refuse all calls of a method."""
        self.handlers[method] = lambda _header, _body: (ReplicaStatus.BUSY, EMPTY)


@pytest.fixture
async def rounds(store: Store, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Rounds]:
    source = StoreHarness(tmp_path / "source").open()
    document = document_of(store, source)
    puller = await puller_of(store, document, clock)
    handlers = await serve_pulls(puller, source, document, [PEER])
    stable = StableTimes()
    anti_entropy = AntiEntropy(
        puller.context, puller.mover, stable, TransferTracker(store, clock), puller.throttle
    )
    await give(source, [SLOT], NAMES, OLD, epoch=1)
    yield Rounds(puller, anti_entropy, stable, source, handlers)
    await source.close(clean=False)


async def test_a_round_brings_what_a_peer_holds_newer_and_moves_the_row(
    rounds: Rounds, store: Store
) -> None:
    before = rounds.puller.context.hlc.now()
    assert not await rounds.run()  # the third store is out of reach
    assert store.root(SLOT) == rounds.source.root(SLOT)
    assert rounds.row is not None
    assert rounds.row >= before
    assert rounds.stable.row(StoreNumber(1), 1) == rounds.anti_entropy.row()


@pytest.mark.parametrize("method", ["roots", "buckets", "keys", "fetch"])
async def test_a_pull_that_is_cut_moves_no_row(rounds: Rounds, method: str) -> None:
    rounds.refuse(method)
    await rounds.run()
    assert rounds.row is None


async def test_a_row_says_when_the_pull_began_not_when_it_ended(
    rounds: Rounds, clock: ManualClock
) -> None:
    roots = rounds.handlers["roots"]
    began: list[Hlc] = []

    def slow(header: CallHeader, body: Body) -> CallResult:
        began.append(rounds.puller.context.hlc.now())
        clock.wall_ms += 3000
        return roots(header, body)  # type: ignore[return-value]

    rounds.handlers["roots"] = slow
    await rounds.run()
    assert rounds.row is not None
    assert rounds.row <= began[0]


async def test_a_write_that_is_still_on_its_way_is_not_pulled(
    rounds: Rounds, store: Store, clock: ManualClock
) -> None:
    await give(rounds.source, [SLOT], ["young"], at(-500), epoch=1)
    await rounds.run()
    assert store.slot_stats(SLOT)[0] == len(NAMES)
    assert rounds.row is not None
    clock.wall_ms += YOUNG_MS
    await rounds.run()
    assert store.slot_stats(SLOT)[0] == len(NAMES) + 1


async def test_slots_of_a_change_are_left_to_their_transfer_and_the_row_stays(
    store: Store, clock: ManualClock, tmp_path: Path
) -> None:
    source = StoreHarness(tmp_path / "source").open()
    document = joining_store(document_of(source), store.identity.store_id)
    puller = await puller_of(store, document, clock)
    await serve_pulls(puller, source, document, [1])
    anti_entropy = AntiEntropy(
        puller.context, puller.mover, StableTimes(), TransferTracker(store, clock), puller.throttle
    )
    view = puller.context.membership.member_view()
    gained = min(view.placement.gained()[view.number])
    await give(source, [gained], NAMES, OLD, epoch=document.epoch)
    await anti_entropy._round(view)
    assert store.slot_stats(gained) == (0, 0)
    assert StoreNumber(1) not in anti_entropy.row()
    puller.throttle.slots = 0  # suspended: then the rounds pull them as well
    await anti_entropy._round(view)
    assert store.slot_stats(gained)[0] == len(NAMES)
    assert StoreNumber(1) in anti_entropy.row()
    await source.close(clean=False)
