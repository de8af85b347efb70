"""Following the feed: every change once, in order, across no gap, and without polling."""

import asyncio
from collections.abc import Callable

import pytest

from spine_node.store import CursorExpiredError, Store, Subscription
from spine_node.store.feed import FeedEntry
from spine_node.store.operations import TrimFeed
from unit.store.harness import NOW_MS, StoreHarness, at, hlc, put

DEADLINE_S = 20.0


def take(follower: Subscription, limit: int) -> list[int]:
    """Read and be done with it; return the numbers of the entries."""
    entries = follower.read(limit)
    assert list(follower.read(limit)) == list(entries)
    if entries:
        follower.advance(entries[-1].seq)
    return [entry.seq for entry in entries]


async def write(store: Store, first: int, count: int) -> None:
    for number in range(first, first + count):
        await store.submit(put(1, at(number), f"n{number:03}"))


async def test_a_follower_takes_every_change_once_and_goes_on_where_it_stopped(
    store: Store,
) -> None:
    await write(store, 0, 5)
    follower = store.subscribe(0)
    taken = [*take(follower, 2), *take(follower, 2)]
    follower.close()
    await write(store, 5, 2)
    again = store.subscribe(follower.position)
    taken += take(again, 10)
    assert taken == list(range(1, 8))
    assert (take(again, 10), again.waiting) == ([], 0)
    again.close()


async def test_a_follower_is_woken_by_the_commit_that_it_waits_for(store: Store) -> None:
    follower = store.subscribe(0)
    async with asyncio.timeout(DEADLINE_S):
        waiting = asyncio.create_task(follower.wait(3))
        await write(store, 0, 2)
        assert not waiting.done()
        await write(store, 2, 1)
        await waiting
        await follower.wait(3)  # they still wait
        take(follower, 10)
        follower.wake()
        await follower.wait()
    follower.close()


async def test_a_wake_between_two_waits_is_not_lost(store: Store) -> None:
    follower = store.subscribe(0)
    follower.wake()
    async with asyncio.timeout(DEADLINE_S):
        await follower.wait(1000)
    follower.close()


async def test_a_closed_follower_is_told_nothing(store: Store) -> None:
    follower = store.subscribe(0)
    waiting = asyncio.create_task(follower.wait())
    follower.close()
    await write(store, 0, 2)
    assert (follower.waiting, waiting.done()) == (2, False)
    waiting.cancel()


@pytest.fixture
async def trimmed(harness: StoreHarness, store: Store) -> Store:
    """Four entries, of which the feed keeps the last two."""
    for ms in range(4):
        harness.physical_ms = NOW_MS + ms
        await write(store, ms, 1)
    while await store.submit(TrimFeed(hlc(2))):
        pass
    return store


@pytest.mark.parametrize("position", [0, 1, 5])
async def test_a_position_that_does_not_lead_on_has_expired(trimmed: Store, position: int) -> None:
    with pytest.raises(CursorExpiredError) as expired:
        trimmed.subscribe(position)
    assert (expired.value.position, expired.value.head) == (position, 4)


@pytest.mark.parametrize(("position", "left"), [(2, [3, 4]), (3, [4]), (4, [])])
async def test_a_position_that_leads_on_is_good(
    trimmed: Store, position: int, left: list[int]
) -> None:
    follower = trimmed.subscribe(position)
    assert take(follower, 10) == left
    follower.close()


async def test_a_follower_that_the_feed_has_left_behind_is_told(store: Store) -> None:
    await write(store, 0, 2)
    follower = store.subscribe(0)
    take(follower, 1)
    await write(store, 2, 2)
    while await store.submit(TrimFeed(hlc(99))):
        pass
    with pytest.raises(CursorExpiredError):
        follower.read(10)
    assert follower.position == 1
    follower.close()


class CommittingFeed:
    """A feed whose file holds one entry more than the store shows."""

    head = 1

    def feed_head(self) -> int:
        return self.head

    def feed_since(self, seq: int, limit: int) -> list[FeedEntry]:
        entries = [FeedEntry(number, b"k", at(number), hlc(number)) for number in (1, 2)]
        return [entry for entry in entries if entry.seq > seq][:limit]

    def watch_feed(self, listener: Callable[[int], None]) -> Callable[[], None]:
        return lambda: listener(self.head)


def test_a_commit_that_is_not_shown_yet_is_read_the_next_time() -> None:
    feed = CommittingFeed()
    following = Subscription(feed, 0)
    assert [entry.seq for entry in following.read(10)] == [1]
    following.advance(1)
    assert following.read(10) == ()
    feed.head = 2
    assert [entry.seq for entry in following.read(10)] == [2]
    following.close()
