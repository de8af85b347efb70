import pytest

from spine_core.scalars import Hlc
from spine_node.store import CursorExpiredError, Store
from spine_node.store.feed import ROW_ENTRIES
from spine_node.store.operations import Barrier, MergePage, Operation, RaiseFloor, Reserve, TrimFeed
from unit.store.harness import NOW_MS, StoreHarness, at, hlc, key, put, stored


def oldest(store: Store) -> int:
    """Return the sequence number of the oldest entry kept; one above the head without any."""
    return next((entry.seq for entry in store.feed_since(0, 1)), store.feed_head() + 1)


async def test_every_change_is_one_entry_without_gaps(harness: StoreHarness, store: Store) -> None:
    await harness.in_one_batch(store, [put(1, at(i), f"n{i}") for i in range(5)])
    await store.submit(put(2, at(9)))
    entries = store.feed_since(0, 100)
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert [entry.key for entry in entries] == [*(key(1, f"n{i}") for i in range(5)), key(2)]
    assert [entry.version for entry in entries] == [*(at(i) for i in range(5)), at(9)]
    assert (oldest(store), store.feed_head()) == (1, 6)


async def test_a_reader_may_stop_and_go_on_anywhere(harness: StoreHarness, store: Store) -> None:
    for batch in range(3):
        await harness.in_one_batch(store, [put(1, at(batch), f"n{batch}{i}") for i in range(4)])
    whole = store.feed_since(0, 100)
    for after in range(13):
        for limit in (1, 3, 100):
            assert store.feed_since(after, limit) == whole[after : after + limit]


async def test_one_commit_of_more_than_a_row_holds_stays_in_order(store: Store) -> None:
    count = 2 * ROW_ENTRIES + 1
    page = [
        (put(1, at(0), f"n{i:05}").records[0].key, put(1, at(0), f"n{i:05}").records[0].raw)
        for i in range(count)
    ]
    await store.submit(MergePage(1, 3, stored(page)))
    entries = store.feed_since(0, 10_000)
    assert [entry.seq for entry in entries] == list(range(1, count + 1))
    assert [entry.key for entry in entries] == [key for key, _ in page]


async def test_what_changes_no_record_is_no_entry(store: Store) -> None:
    heads: list[int] = []
    store.watch_feed(heads.append)
    quiet: list[Operation] = [Barrier(), Reserve(hlc(1)), RaiseFloor(1, hlc(1))]
    for operation in quiet:
        await store.submit(operation)
    assert (store.feed_head(), heads) == (0, [])
    assert oldest(store) == 1
    assert store.feed_since(0, 10) == []


async def test_append_times_never_fall_even_when_the_clock_does(
    harness: StoreHarness, store: Store
) -> None:
    times = []
    for ms in (NOW_MS, NOW_MS - 4000, NOW_MS + 1):
        harness.physical_ms = ms
        await store.submit(put(1, at(ms - NOW_MS), f"{ms}"))
        times.append(store.feed_since(store.feed_head() - 1, 1)[0].append_hlc)
    assert times == [hlc(0), hlc(0), hlc(1)]


async def test_old_entries_are_trimmed_but_never_the_newest(harness: StoreHarness) -> None:
    store = await harness.adopted()
    for ms in range(4):
        harness.physical_ms = NOW_MS + ms
        await store.submit(put(1, at(ms), f"n{ms}"))
    assert await store.submit(TrimFeed(hlc(2))) == 2
    assert await store.submit(TrimFeed(hlc(2))) == 0
    assert (oldest(store), store.feed_head()) == (3, 4)
    assert [entry.seq for entry in store.feed_since(0, 10)] == [3, 4]
    assert await store.submit(TrimFeed(hlc(99))) == 1
    await store.close()
    store = harness.open()
    assert (oldest(store), store.feed_head()) == (4, 4)
    await store.submit(put(1, at(9)))
    assert store.feed_head() == 5
    await store.close()


async def test_a_feed_beyond_its_share_of_the_quota_is_trimmed_whatever_its_age(
    harness: StoreHarness,
) -> None:
    harness.quota_bytes = 10 * 40_000  # forty kilobytes for the feed
    store = await harness.adopted()
    for i in range(20):
        page = [(p.key, p.raw) for j in range(50) for p in put(1, at(i), f"{j:0100}").records]
        await store.submit(MergePage(1, 3, stored(page)))
    assert oldest(store) == 1
    assert await store.submit(TrimFeed(Hlc(0))) > 0
    assert await store.submit(TrimFeed(Hlc(0))) == 0
    assert 1 < oldest(store) <= store.feed_head() == 1000
    await store.close()


async def test_the_first_entry_appended_after_a_time_is_found(
    harness: StoreHarness, store: Store
) -> None:
    assert (store.feed_oldest(), store.feed_position_after(hlc(0))) == (0, 0)
    for ms in (0, 10, 10, 20, 30):
        harness.physical_ms = NOW_MS + ms
        await harness.in_one_batch(store, [put(1, at(ms, count=n), f"{ms}-{n}") for n in range(3)])
    entries = store.feed_since(0, 100)
    for ms in range(-1, 32):
        position = store.feed_position_after(hlc(ms))
        assert [entry.seq > position for entry in entries] == [
            entry.append_hlc > hlc(ms) for entry in entries
        ]


async def test_a_time_before_the_oldest_entry_that_is_kept_leads_nowhere(
    harness: StoreHarness, store: Store
) -> None:
    for ms in (0, 10, 20):
        harness.physical_ms = NOW_MS + ms
        await store.submit(put(1, at(ms), f"n{ms}"))
    await store.submit(TrimFeed(hlc(5)))
    assert store.feed_oldest() == 1
    with pytest.raises(CursorExpiredError):
        store.feed_position_after(hlc(5))
    assert store.feed_position_after(hlc(10)) == 2, "the oldest that is kept was appended then"
