import pytest

from spine_core.records.versions import STRONG
from spine_node.store import Store
from spine_node.store.operations import FinishPull, MergePage, MergeReply, RaiseFloor
from unit.store.harness import (
    EPOCH,
    SLOTS,
    StoreHarness,
    at,
    damaged,
    hlc,
    key,
    put,
    record,
    rows,
    stored,
    tombstone,
)


async def test_a_page_is_applied_by_version(store: Store) -> None:
    await store.submit(put(1, at(5), "newer"))
    await store.submit(put(1, at(5), "older"))
    page = [
        (key(1, "newer"), record(at(4))),
        (key(1, "older"), record(at(6))),
        (key(1, "unheld"), record(at(-99_000))),
    ]
    assert await store.submit(MergePage(1, EPOCH, stored(page))) == MergeReply("ok", 2)
    assert store.get(key(1, "newer")) == record(at(5), b"newer")
    assert store.get(key(1, "older")) == record(at(6))
    assert store.get(key(1, "unheld")) == record(at(-99_000))
    assert [entry.key for entry in store.feed_since(2, 9)] == [key(1, "older"), key(1, "unheld")]


async def test_merging_a_page_again_changes_nothing(store: Store) -> None:
    page = [(key(1), record(at(0)))]
    await store.submit(MergePage(1, EPOCH, stored(page)))
    before = (store.root(1), store.feed_head())
    assert await store.submit(MergePage(1, EPOCH, stored(page))) == MergeReply("ok", 0)
    assert (store.root(1), store.feed_head()) == before


async def test_a_strong_version_beats_every_weak_one(store: Store) -> None:
    await store.submit(put(1, at(900)))
    strong = record(at(0, kind=STRONG))
    assert (await store.submit(MergePage(1, EPOCH, stored([(key(1), strong)])))).applied == 1
    assert (
        await store.submit(MergePage(1, EPOCH, stored([(key(1), record(at(999)))])))
    ).applied == 0
    assert store.get(key(1)) == strong


async def test_a_recurring_pull_brings_no_purged_record_back(store: Store) -> None:
    await store.submit(RaiseFloor(1, hlc(10)))
    page = [(key(1, "below"), record(at(10))), (key(1, "above"), record(at(11)))]
    assert await store.submit(MergePage(1, EPOCH, stored(page))) == MergeReply("ok", 1)
    assert set(rows(store)) == {key(1, "above")}


async def test_a_recurring_pull_takes_the_floor_over_before_its_records(store: Store) -> None:
    page = [(key(1, "below"), record(at(10))), (key(1, "above"), record(at(11)))]
    assert await store.submit(MergePage(1, EPOCH, stored(page), floor=hlc(10))) == MergeReply(
        "ok", 1
    )
    assert store.floor(1) == hlc(10)
    assert set(rows(store)) == {key(1, "above")}


async def test_a_full_transfer_takes_old_records_and_then_the_floor(store: Store) -> None:
    page = [(key(1, "old"), record(at(3))), (key(1, "grave"), tombstone(at(4)))]
    reply = await store.submit(MergePage(1, EPOCH, stored(page), full_transfer=True))
    assert reply == MergeReply("ok", 2)
    assert store.floor(1) == 0
    assert await store.submit(FinishPull(1, EPOCH, hlc(10))) == MergeReply("ok")
    assert store.floor(1) == hlc(10)
    assert set(rows(store)) == {key(1, "old")}  # the tombstone lay below the floor


async def test_a_damaged_record_is_never_stored_and_never_deletes(store: Store) -> None:
    await store.submit(put(1, at(0), "held"))
    page = [
        (key(1, "held"), damaged(record(at(5)))),
        (key(1, "unheld"), damaged(record(at(5)))),
        (key(1, "short"), b"\x01"),
        (key(2, "elsewhere"), record(at(5))),  # not of this slot
        (key(1, "good"), record(at(5))),
    ]
    assert await store.submit(MergePage(1, EPOCH, stored(page))) == MergeReply("ok", 1, corrupt=4)
    assert rows(store) == {
        key(1, "held"): record(at(0), b"held"),
        key(1, "good"): record(at(5)),
    }


async def test_a_record_that_rotted_here_is_healed_by_the_same_version(store: Store) -> None:
    good = record(at(0), b"worth keeping")
    await store.submit(put(1, at(0), raw=damaged(good)))
    root = store.root(1)
    assert await store.submit(MergePage(1, EPOCH, stored([(key(1), good)]))) == MergeReply("ok", 1)
    assert store.get(key(1)) == good
    assert store.root(1) == root


@pytest.mark.parametrize(
    ("slot", "epoch", "status"),
    [
        (1, EPOCH - 1, "stale-epoch"),
        (1, EPOCH + 1, "need-document"),
        (SLOTS, EPOCH, "misdirected"),
    ],
)
async def test_a_page_of_another_epoch_or_slot_is_refused_whole(
    store: Store, slot: int, epoch: int, status: str
) -> None:
    page = [(key(slot), record(at(0)))]
    reply = await store.submit(MergePage(slot, epoch, stored(page), floor=hlc(9)))
    assert reply == MergeReply(status)  # type: ignore[arg-type]
    assert await store.submit(FinishPull(slot, epoch, hlc(9), b"all")) == reply
    assert (store.get(key(slot)), store.floor(slot)) == (None, 0)
    assert store.pull_checkpoint(slot) is None


async def test_a_pull_checkpoint_is_durable_and_goes_with_its_slot(harness: StoreHarness) -> None:
    store = await harness.adopted()
    await store.submit(FinishPull(1, EPOCH, checkpoint=b"change 1"))
    await store.submit(FinishPull(1, EPOCH, hlc(3)))  # leaves it
    await store.close(clean=False)
    store = harness.open()
    assert (store.pull_checkpoint(1), store.floor(1)) == (b"change 1", hlc(3))
    await store.submit(FinishPull(1, EPOCH, checkpoint=b"change 2"))
    assert store.pull_checkpoint(1) == b"change 2"
    await store.close()
