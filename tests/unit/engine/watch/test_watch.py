"""One watch over scripted feeds: what it asks, what it makes of answers, when it goes elsewhere or ends."""

import pytest

from spine_core.errors import ProblemError
from spine_core.records.encoding import FLAG_TOMBSTONE, Record, encode
from spine_core.records.filters import parse_filter
from spine_core.replication.watch_cursor import SHOWN_MAX, Cursor, open_cursor, seal_cursor
from spine_core.scalars import HLC_ZERO, Hlc
from spine_node.engine.watch.feed_server import FeedEdge, FeedRecord
from spine_node.ports import Changes
from spine_node.store import checksum
from unit.engine.watch.feeds import KEYS, A, B, C, WatchHarness, at, hlc, record, view

LIMIT = 10


@pytest.fixture
def harness() -> WatchHarness:
    return WatchHarness()


def names(changes: Changes) -> list[tuple[str, str]]:
    return [(event.kind, event.memory_id) for event in changes.events]


def opened_cursor(text: str) -> Cursor:
    cursor = open_cursor(text, KEYS)
    assert cursor is not None
    return cursor


async def test_now_is_where_the_feed_ends_when_the_watch_is_opened(harness: WatchHarness) -> None:
    harness.feeds.entries[A] = [record(1, "before", at(1))]
    watch = await harness.watches.open(harness.request())
    harness.feeds.entries[A].append(record(2, "after", at(2)))
    assert names(await watch.next(LIMIT, 0)) == [("put", "after")]
    await watch.close()


async def test_beginning_is_the_oldest_entry_that_is_kept(harness: WatchHarness) -> None:
    harness.feeds.oldest = 1
    harness.feeds.entries[A] = [record(n, f"k{n}", at(n)) for n in (1, 2, 3)]
    watch = await harness.watches.open(harness.request("beginning"))
    assert names(await watch.next(LIMIT, 0)) == [("put", "k2"), ("put", "k3")]
    await watch.close()


async def test_h_is_the_stable_time_before_the_feed_was_read(harness: WatchHarness) -> None:
    """What becomes stable while an answer is on its way may not be in it."""
    harness.feeds.low, harness.feeds.low_after = hlc(-100), hlc(50)
    harness.feeds.entries[A] = [record(1, "k", at(40))]
    watch = await harness.watches.open(harness.request("beginning"))
    harness.feeds.low = hlc(-100)
    changes = await watch.next(LIMIT, 0)
    assert names(changes) == [("put", "k")]
    assert opened_cursor(changes.cursor) == Cursor(hlc(-100), 1, ((A, 1),))
    await watch.close()


async def test_every_event_has_the_cursor_behind_it(harness: WatchHarness) -> None:
    harness.feeds.entries[A] = [record(n, f"k{n}", at(n)) for n in (1, 2, 3)]
    watch = await harness.watches.open(harness.request("beginning"))
    changes = await watch.next(LIMIT, 0)
    second = changes.events[1].cursor
    again = await harness.watches.open(harness.request("now", last_event_id=second))
    assert names(await again.next(LIMIT, 0)) == [("put", "k3")]
    assert harness.watches.count == 2
    await watch.close()
    await again.close()
    assert harness.watches.count == 0


async def test_another_store_is_read_from_h_when_the_one_that_is_followed_goes(
    harness: WatchHarness,
) -> None:
    harness.feeds.low = hlc(5)
    harness.feeds.entries[A] = [record(1, "k", at(20)), record(2, "j", at(21))]
    watch = await harness.watches.open(harness.request("beginning"))
    await watch.next(LIMIT, 0)
    harness.feeds.down.add(A)
    harness.feeds.entries[B] = [
        record(7, "old", at(5)),
        record(8, "k", at(19)),
        record(9, "new", at(22)),
    ]
    changes = await watch.next(LIMIT, 0.5)
    assert names(changes) == [("put", "new")], "up to H everything was shown, and k only grows"
    store, call = harness.feeds.calls[-1]
    assert (store, call.edge, call.after) == (B, FeedEdge.AFTER, hlc(5))
    await watch.close()


async def test_a_change_of_epoch_leaves_a_source_where_it_stands(harness: WatchHarness) -> None:
    harness.feeds.entries[A] = [record(1, "k", at(1))]
    watch = await harness.watches.open(harness.request())
    harness.feeds.now = view(epoch=2)
    harness.feeds.other_epoch = 3  # answers that come while documents are on their way
    harness.feeds.entries[A].append(record(2, "j", at(2)))
    changes = await watch.next(LIMIT, 0.5)
    assert names(changes) == [("put", "j")]
    assert opened_cursor(changes.cursor).epoch == 2
    assert {store for store, _ in harness.feeds.calls} == {A}
    await watch.close()


async def test_a_store_that_stays_in_another_epoch_is_given_up(harness: WatchHarness) -> None:
    watch = await harness.watches.open(harness.request())
    harness.feeds.other_epoch = 45
    harness.feeds.entries[B] = [record(1, "k", at(1))]
    assert names(await watch.next(LIMIT, 3.0)) == [("put", "k")]
    await watch.close()


async def test_a_feed_that_no_longer_leads_on_is_a_reset(harness: WatchHarness) -> None:
    harness.feeds.entries[A] = [record(n, f"k{n}", at(n)) for n in range(1, 9)]
    old = seal_cursor(Cursor(hlc(0), 1, ((A, 3),)), KEYS[0])
    harness.feeds.oldest = 5
    watch = await harness.watches.open(harness.request(old))
    changes = await watch.next(LIMIT, 0)
    assert (changes.reset, changes.events) == (True, [])
    assert opened_cursor(changes.cursor).positions == ((A, 8),)
    harness.feeds.entries[A].append(record(9, "k9", at(9)))
    assert names(await watch.next(LIMIT, 0)) == [("put", "k9")], "it goes on by itself"
    await watch.close()


async def test_a_watch_that_cannot_keep_the_order_ends(harness: WatchHarness) -> None:
    harness.feeds.entries[A] = [record(n, f"k{n}", at(n)) for n in (1, 2)]
    watch = await harness.watches.open(harness.request("beginning"))
    watch._progress.shown = {b"%d" % n: at(n) for n in range(SHOWN_MAX)}
    await watch.next(LIMIT, 0)
    harness.feeds.down.add(A)
    changes = await watch.next(LIMIT, 0.5)
    assert changes.ended
    assert opened_cursor(changes.cursor) == Cursor(HLC_ZERO, 1, ())
    await watch.close()


async def test_deletions_come_whatever_the_filter_says(harness: WatchHarness) -> None:
    tombstone = encode(Record(version=at(3), op=1, body=b"\0\0", flags=FLAG_TOMBSTONE), checksum)
    harness.feeds.entries[A] = [
        record(1, "match", at(1)),
        record(2, "other", at(2), b'{"tags":["x"]}'),
        FeedRecord(3, record(3, "gone", at(3)).key, at(3), tombstone),
        FeedRecord(4, record(4, "purged", at(4)).key, at(4), None),
    ]
    where = parse_filter({"tags": "t"})
    watch = await harness.watches.open(harness.request("beginning", where=where))
    changes = await watch.next(LIMIT, 0)
    assert names(changes) == [("put", "match"), ("delete", "gone"), ("delete", "purged")]
    assert [event.reason for event in changes.events] == [None, "deleted", "deleted"]
    only = harness.request("beginning", events=frozenset({"delete"}))
    deletions = await harness.watches.open(only)
    assert names(await deletions.next(LIMIT, 0)) == [("delete", "gone"), ("delete", "purged")]
    await watch.close()
    await deletions.close()


async def test_a_damaged_copy_is_read_by_quorum_and_is_never_a_deletion(
    harness: WatchHarness,
) -> None:
    whole = record(2, "k", at(2))
    assert whole.record is not None
    harness.feeds.entries[A] = [
        record(1, "j", at(1)),
        FeedRecord(2, whole.key, at(2), whole.record[:-1] + b"?"),
    ]
    watch = await harness.watches.open(harness.request("beginning"))
    changes = await watch.next(LIMIT, 0)
    assert (names(changes), changes.ended) == ([("put", "j")], True), "no quorum: not beyond it"
    await watch.close()
    harness.reads.problem = None
    harness.reads.found = Record(version=at(3), op=1, body=whole.record[41:])
    again = await harness.watches.open(harness.request(changes.cursor))
    (event,) = (await again.next(LIMIT, 0)).events
    assert (event.kind, event.version) == ("put", at(3))
    await again.close()


async def test_a_node_that_leaves_ends_its_watches(harness: WatchHarness) -> None:
    watch = await harness.watches.open(harness.request())
    harness.leaving = "this node is draining"
    assert (await watch.next(LIMIT, 5.0)).ended
    await watch.close()


async def test_slots_without_a_replica_that_answers_refuse_the_watch(
    harness: WatchHarness,
) -> None:
    harness.feeds.down |= {A, B, C}
    with pytest.raises(ProblemError) as failed:
        await harness.watches.open(harness.request())
    assert failed.value.code == "coverage-incomplete"
    assert harness.watches.count == 0


@pytest.mark.parametrize("text", ["", "then", "AAAA", "beginning "])
async def test_what_is_no_cursor_is_refused_by_the_name_of_its_field(
    harness: WatchHarness, text: str
) -> None:
    for request, name in (
        (harness.request(text), "since"),
        (harness.request("now", last_event_id=text), "Last-Event-ID"),
    ):
        with pytest.raises(ProblemError) as failed:
            await harness.watches.open(request)
        assert failed.value.code == "invalid-request"
        assert failed.value.errors[0][0] == name


async def test_a_watch_that_nobody_reads_asks_for_nothing(harness: WatchHarness) -> None:
    watch = await harness.watches.open(harness.request("beginning"))
    harness.feeds.entries[A] = [record(n, f"k{n}", at(n)) for n in range(1, 50)]
    asked = len(harness.feeds.calls)
    assert len(harness.feeds.calls) == asked
    assert len((await watch.next(LIMIT, 0)).events) == LIMIT
    await watch.close()


async def test_the_lag_grows_while_news_is_not_taken(harness: WatchHarness) -> None:
    watch = await harness.watches.open(harness.request("beginning"))
    harness.feeds.entries[A] = [record(n, f"k{n}", at(n)) for n in range(1, 50)]
    await watch.next(LIMIT, 0)
    harness.clock.seconds += 7.0
    assert harness.watches.lag_s() == 7.0
    assert Hlc(0) == opened_cursor(watch.cursor).low
    await watch.close()
    assert harness.watches.lag_s() == 0.0
