"""A pull brings all that is newer, in however many answers, or says that it did not."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from spine_core.replication.put_rules import PutKind
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc, Slot, StoreNumber
from spine_node.engine.replication.mover import DamagedSourceError, PullCutError, PullReason
from spine_node.engine.replication.pull_server import PullLimits
from spine_node.links.frames import encoder
from spine_node.links.mesh import CallError
from spine_node.links.methods import Handler
from spine_node.store import Store
from spine_node.store.operations import StoredEntry
from unit.engine.harness import ManualClock
from unit.engine.replication.peers import Puller, document_of, give, puller_of, serve_pulls
from unit.store.harness import StoreHarness, at, damaged, hlc, key, put, record

SOURCE = StoreNumber(2)
SLOTS = [Slot(3), Slot(4), Slot(9)]
NAMES = [f"n{number:02}" for number in range(20)]
OLD = at(-60_000)


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[Store]:
    opened = StoreHarness(tmp_path / "source").open()
    yield opened
    await opened.close(clean=False)


async def pair(
    store: Store, source: Store, clock: ManualClock, limits: PullLimits
) -> tuple[Puller, dict[str, Handler]]:
    """Return who pulls, and the handlers of the source, which holds NAMES in SLOTS."""
    document = document_of(store, source)
    puller = await puller_of(store, document, clock)
    handlers = await serve_pulls(puller, source, document, [SOURCE], limits)
    await give(source, SLOTS, NAMES, OLD, epoch=1)
    return puller, handlers


async def pull(puller: Puller, before: Hlc | None = None) -> int:
    view = puller.context.membership.member_view()
    return await puller.mover.pull(
        view, SOURCE, SLOTS, before or hlc(0), reason=PullReason.ANTI_ENTROPY
    )


@pytest.mark.parametrize(
    "limits",
    [
        PullLimits(),
        PullLimits(keys_max=7),
        PullLimits(page_bytes_max=200),
        PullLimits(keys_max=3, page_bytes_max=1),
    ],
)
async def test_a_pull_of_many_answers_brings_every_record(
    store: Store, source: Store, clock: ManualClock, limits: PullLimits
) -> None:
    puller, _ = await pair(store, source, clock, limits)
    assert await pull(puller) == len(SLOTS) * len(NAMES)
    for slot in SLOTS:
        assert store.root(slot) == source.root(slot)
    assert await pull(puller) == 0


async def test_only_buckets_that_differ_are_listed_and_only_newer_records_fetched(
    store: Store, source: Store, clock: ManualClock
) -> None:
    puller, _ = await pair(store, source, clock, PullLimits())
    await pull(puller)
    newer_here = put(SLOTS[0], at(-1), "n01", epoch=1, kind=PutKind.WRITE_BACK)
    await store.submit(newer_here)
    puller.mesh.called.clear()
    assert await pull(puller) == 0
    assert puller.mesh.called == ["buckets", "keys"]
    assert store.get(newer_here.records[0].key) == newer_here.records[0].raw


async def test_records_younger_than_asked_for_are_skipped(
    store: Store, source: Store, clock: ManualClock
) -> None:
    puller, _ = await pair(store, source, clock, PullLimits())
    young = put(SLOTS[0], at(-1), "young", epoch=1, kind=PutKind.WRITE_BACK)
    await source.submit(young)
    assert await pull(puller, hlc(-1)) == len(SLOTS) * len(NAMES)
    assert store.get(young.records[0].key) is None
    assert await pull(puller, hlc(0)) == 1


async def test_a_damaged_record_of_the_source_is_not_taken_and_named(
    store: Store, source: Store, clock: ManualClock
) -> None:
    puller, _ = await pair(store, source, clock, PullLimits())
    bad = put(
        SLOTS[0], at(-1), "bad", raw=damaged(record(at(-1))), epoch=1, kind=PutKind.WRITE_BACK
    )
    await source.submit(bad)
    with pytest.raises(DamagedSourceError):
        await pull(puller)
    assert store.get(bad.records[0].key) is None


async def test_a_pull_of_an_older_epoch_ends_with_the_refusal(
    store: Store, source: Store, clock: ManualClock
) -> None:
    puller, handlers = await pair(store, source, clock, PullLimits())
    handlers["keys"] = lambda _header, _body: (
        ReplicaStatus.NEED_DOCUMENT,
        msgspec.Raw(encoder.encode(None)),
    )
    puller.mesh.handlers[SOURCE]["topology"] = handlers["keys"]
    with pytest.raises(CallError):
        await pull(puller)


OTHER_ANSWERS: dict[str, tuple[str, object]] = {
    "fewer slots": ("buckets", [[]]),
    "fewer buckets": ("buckets", [[[bytes(16)]] * len(SLOTS)]),
    "no entries": ("fetch", [[]]),
    "other keys": ("fetch", [[(b"\x00\x03other", None, None)]]),
}


@pytest.mark.parametrize("other", OTHER_ANSWERS)
async def test_an_answer_to_something_else_cuts_the_pull(
    store: Store, source: Store, clock: ManualClock, other: str
) -> None:
    puller, handlers = await pair(store, source, clock, PullLimits())
    method, answer = OTHER_ANSWERS[other]
    handlers[method] = lambda _header, _body: (
        ReplicaStatus.OK,
        msgspec.Raw(encoder.encode(answer)),
    )
    with pytest.raises(PullCutError):
        await pull(puller)
    assert all(store.slot_stats(slot) == (0, 0) for slot in SLOTS)


async def test_an_entry_whose_acceptor_state_is_damaged_is_not_taken(
    store: Store, source: Store, clock: ManualClock
) -> None:
    puller, _ = await pair(store, source, clock, PullLimits())
    view = puller.context.membership.member_view()
    registered = StoredEntry(key(SLOTS[0], "registered"), record(OLD), b"promised")
    with pytest.raises(DamagedSourceError):
        await puller.mover.merge(view, [registered], reason=PullReason.CHANGE)
    assert store.slot_stats(SLOTS[0]) == (0, 0)
