import os
import stat

import lmdb
import pytest

from spine_core.records.hlc import HybridClock
from spine_node.store import StoreFormatError, StoreLockedError, open_store
from spine_node.store.layout import FORMAT, open_tables, pack_u64
from spine_node.store.operations import MergePage, Reserve
from unit.store.harness import (
    EPOCH,
    NOW_MS,
    StoreHarness,
    at,
    hlc,
    key,
    picture,
    put,
    record,
    rows,
    stored,
)


async def test_a_directory_keeps_its_identity_and_counts_its_boots(harness: StoreHarness) -> None:
    first = harness.open()
    await first.close()
    second = harness.open()
    await second.close(clean=False)
    third = harness.open()
    await third.close()
    assert {store.identity.store_id for store in (first, second, third)} == {
        first.identity.store_id
    }
    assert [store.identity.boot for store in (first, second, third)] == [1, 2, 3]
    assert [store.identity.was_clean for store in (first, second, third)] == [True, True, False]


async def test_two_directories_are_two_stores(harness: StoreHarness) -> None:
    one = harness.open()
    other = StoreHarness(harness.path / "other").open()
    assert one.identity.store_id != other.identity.store_id
    await one.close()
    await other.close()


async def test_the_directory_and_its_files_are_nobody_elses(harness: StoreHarness) -> None:
    path = harness.path / "new"
    before = os.umask(0)
    try:
        store = StoreHarness(path).open()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()}
    assert modes == dict.fromkeys(("data.mdb", "lock.mdb", "lock"), 0o600)
    await store.close(clean=False)


async def test_a_second_opener_is_told_who_has_the_store(harness: StoreHarness) -> None:
    store = await harness.adopted()
    with pytest.raises(StoreLockedError, match=f"process {os.getpid()}"):
        harness.open()
    assert (await store.submit(put(1, at(0)))).of(0) == "ok"
    await store.close()
    await harness.open().close()


async def test_a_store_of_another_format_is_refused_and_left_alone(harness: StoreHarness) -> None:
    await (await harness.adopted()).close()
    set_format(harness, 99)
    before = (harness.path / "data.mdb").read_bytes()
    with pytest.raises(StoreFormatError, match="holds store format 99; this version reads"):
        harness.open()
    assert (harness.path / "data.mdb").read_bytes() == before
    set_format(harness, FORMAT)
    store = harness.open()
    assert (store.identity.boot, store.epoch) == (2, EPOCH)
    await store.close()


def set_format(harness: StoreHarness, number: int) -> None:
    with lmdb.open(str(harness.path), max_dbs=8) as environment:
        tables = open_tables(environment)
        with environment.begin(write=True, db=tables.meta) as txn:
            txn.put(b"format", pack_u64(number))


async def test_the_disk_is_asked_to_keep_what_it_is_given(harness: StoreHarness) -> None:
    store = harness.open()
    flags = store._environment.flags()
    assert (flags["sync"], flags["metasync"], flags["writemap"]) == (True, True, False)
    await store.close()


@pytest.mark.parametrize("clean", [True, False])
async def test_everything_is_as_it_was_after_a_restart(harness: StoreHarness, clean: bool) -> None:
    store = await harness.adopted()
    for i in range(40):
        await store.submit(put(i % 4, at(i), f"n{i}"))
    kept = (rows(store), picture(store), store.feed_head(), store.feed_since(0, 100))
    await store.close(clean=clean)
    store = harness.open()
    assert (rows(store), picture(store), store.feed_head(), store.feed_since(0, 100)) == kept
    await store.close()


async def test_a_crash_after_a_clean_start_is_seen_as_one(harness: StoreHarness) -> None:
    store = await harness.adopted()
    await store.close()
    store = harness.open()
    await store.submit(put(1, at(0)))
    kept = picture(store)
    await store.close(clean=False)
    store = harness.open()
    assert not store.identity.was_clean
    assert picture(store) == kept
    await store.close()


async def test_the_clock_starts_above_everything_issued_or_stored(harness: StoreHarness) -> None:
    store = await harness.adopted()
    harness.clock.tick(NOW_MS + 70)
    await store.submit(put(1, at(0)))
    await store.close(clean=False)
    store = harness.open()
    assert store.hlc_high_water == harness.clock.last == hlc(70)
    await store.submit(MergePage(1, EPOCH, stored([(key(1), record(at(500, store=2)))])))
    await store.close(clean=False)
    store = harness.open()
    assert store.hlc_high_water == hlc(500)
    assert harness.clock.tick(NOW_MS - 10_000) > hlc(500)
    await store.close()


async def test_a_reserved_mark_is_durable_without_any_write(harness: StoreHarness) -> None:
    store = await harness.adopted()
    await store.submit(Reserve(hlc(9000)))
    await store.submit(Reserve(hlc(10)))
    await store.close(clean=False)
    store = harness.open()
    assert store.hlc_high_water == hlc(9000)
    await store.close()


async def test_a_clock_ahead_of_the_mark_stays_where_it_is(harness: StoreHarness) -> None:
    store = await harness.adopted()
    await store.close()
    clock = HybridClock(hlc(50))
    store = open_store(harness.path, clock=clock, physical_ms=lambda: NOW_MS)
    assert clock.last == hlc(50)
    await store.close()
