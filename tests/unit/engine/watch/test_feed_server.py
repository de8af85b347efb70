"""The serving half of watches, on a real store: what is in an answer, and who is woken by what."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from models.clusters import SLOTS
from spine_core.records.ids import slot_of
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import HLC_ZERO, Slot
from spine_node.clock import Clock
from spine_node.engine.cluster.replica import Replica
from spine_node.engine.cluster.topology_view import Membership
from spine_node.engine.watch.feed_server import FeedCall, FeedEdge, FeedServer
from spine_node.engine.watch.feed_tail import ENTRIES_AT_ONCE, FeedTail
from spine_node.engine.watch.watched import Watched
from spine_node.links.methods import RefusedCallError
from spine_node.search.messages import slots_to_bytes
from spine_node.store import Store, key_of
from spine_node.store.operations import Put, PutRecord, TrimFeed
from unit.engine.harness import document_for
from unit.store.harness import NOW_MS, StoreHarness, at, hlc, record

NOTES = Watched("team.notes", False, True, False)
EVERYTHING = (1 << SLOTS) - 1
DEADLINE_S = 10.0


def put(namespace: str, name: str, ms: int) -> Put:
    """Return a put whose body is its name."""
    slot = slot_of(namespace, name, SLOTS)
    raw = record(at(ms), name.encode())
    return Put([PutRecord(key_of(slot, namespace, name), Slot(slot), raw)], 1)


def call(
    edge: FeedEdge = FeedEdge.BEHIND,
    *,
    position: int = 0,
    after: int = HLC_ZERO,
    limit: int = 100,
    wait_ms: int = 0,
    slots: int = EVERYTHING,
    watched: Watched = NOTES,
) -> FeedCall:
    stamp = hlc(after) if after else HLC_ZERO
    return FeedCall(watched, slots_to_bytes(slots), edge, position, stamp, limit, wait_ms)


@pytest.fixture
async def store(harness: StoreHarness) -> AsyncIterator[Store]:
    opened = harness.open()
    membership = Membership(opened)
    await membership.adopt(document_for(opened).canonical())
    yield opened
    await opened.close(clean=False)


@pytest.fixture
def server(store: Store) -> FeedServer:
    return FeedServer(store, Replica(store, Membership(store)), Clock())


async def test_an_answer_holds_the_records_of_what_is_watched_and_nothing_else(
    store: Store, server: FeedServer
) -> None:
    for number, namespace in enumerate(["team.notes", "team", "team.notes.x", "team.notesx"]):
        await store.submit(put(namespace, f"k{number}", number))
    reply = await server.read(call(), 1)
    assert [(each.seq, each.version) for each in reply.entries] == [(1, at(0))]
    assert (reply.position, reply.at_head) == (4, True)


async def test_a_record_that_has_changed_again_is_left_to_its_later_entry(
    store: Store, server: FeedServer
) -> None:
    for ms in (1, 2, 3):
        await store.submit(put("team.notes", "k", ms))
    (only,) = (await server.read(call(), 1)).entries
    assert (only.seq, only.version, only.record) == (3, at(3), record(at(3), b"k"))


async def test_slots_that_are_followed_elsewhere_are_left_out(
    store: Store, server: FeedServer
) -> None:
    for number in range(20):
        await store.submit(put("team.notes", f"k{number}", number))
    slots = 1 << slot_of("team.notes", "k7", SLOTS)
    found = (await server.read(call(slots=slots), 1)).entries
    assert 7 in [each.seq - 1 for each in found]
    assert len(found) < 20


async def test_an_answer_ends_with_the_entry_that_fills_it(
    store: Store, server: FeedServer
) -> None:
    for number in range(5):
        await store.submit(put("team.notes", f"k{number}", number))
    reply = await server.read(call(limit=2), 1)
    assert (len(reply.entries), reply.position, reply.at_head) == (2, 2, False)
    rest = await server.read(call(position=reply.position), 1)
    assert (len(rest.entries), rest.position, rest.at_head) == (3, 5, True)


async def test_a_call_begins_where_it_says(
    harness: StoreHarness, store: Store, server: FeedServer
) -> None:
    for ms in (0, 10, 20):
        harness.physical_ms = NOW_MS + ms
        await store.submit(put("team.notes", f"k{ms}", ms))
    begins = {
        FeedEdge.OLDEST: 0,
        FeedEdge.HEAD: 3,
        FeedEdge.AFTER: 2,
        FeedEdge.BEHIND: 1,
    }
    for edge, begin in begins.items():
        reply = await server.read(call(edge, position=1, after=10, limit=0), 1)
        assert (reply.position, reply.entries) == (begin, [])


async def test_a_feed_that_no_longer_leads_on_says_so(
    harness: StoreHarness, store: Store, server: FeedServer
) -> None:
    for ms in (0, 10, 20):
        harness.physical_ms = NOW_MS + ms
        await store.submit(put("team.notes", f"k{ms}", ms))
    await store.submit(TrimFeed(hlc(15)))
    assert (await server.read(call(position=1), 1)).expired
    assert (await server.read(call(FeedEdge.AFTER, after=5), 1)).expired
    assert (await server.read(call(position=99), 1)).expired, "a position that was never reached"
    assert len((await server.read(call(FeedEdge.OLDEST), 1)).entries) == 1


async def test_a_call_of_another_epoch_is_refused(server: FeedServer) -> None:
    for epoch, status in (
        (0, ReplicaStatus.STALE_EPOCH),
        (2, ReplicaStatus.NEED_DOCUMENT),
    ):
        with pytest.raises(RefusedCallError) as refused:
            await server.read(call(), epoch)
        assert refused.value.status is status


async def test_a_call_waits_for_the_first_change_of_what_is_watched(
    store: Store, server: FeedServer
) -> None:
    waiting = asyncio.create_task(server.read(call(wait_ms=60_000), 1))
    await store.submit(put("team.other", "k", 1))
    await store.submit(put("team.notes", "k", 2))
    async with asyncio.timeout(DEADLINE_S):
        reply = await waiting
    assert [(each.seq, each.version) for each in reply.entries] == [(2, at(2))]


async def test_a_call_whose_time_is_over_says_how_far_it_has_looked(
    store: Store, server: FeedServer
) -> None:
    waiting = asyncio.create_task(server.read(call(wait_ms=100), 1))
    await store.submit(put("team.other", "k", 1))
    reply = await waiting
    assert (reply.position, reply.at_head, reply.entries) == (1, True, [])


async def test_a_wait_ends_when_the_epoch_changes(server: FeedServer) -> None:
    waiting = asyncio.create_task(server.read(call(wait_ms=60_000), 1))
    await asyncio.wait({waiting}, timeout=0.01)
    server.wake()
    async with asyncio.timeout(DEADLINE_S):
        assert (await waiting).at_head


async def test_writes_elsewhere_wake_nobody_and_move_everybody_on(store: Store) -> None:
    tail = FeedTail(store, Clock())
    subtree = Watched("team", True, True, False)
    leases = Watched("team.notes", False, False, True)
    waits = [
        asyncio.create_task(tail.wait(watched, 0, 0.5)) for watched in (NOTES, subtree, leases)
    ]
    await asyncio.wait(waits, timeout=0.01)
    for number in range(3):
        await store.submit(put("other", f"k{number}", number))
    await store.submit(put("team.x", "k", 9))
    assert await asyncio.gather(*waits) == [4, 3, 4], "the subtree was woken by the fourth entry"


async def test_a_wait_that_is_over_is_not_moved_beyond_what_ended_it(store: Store) -> None:
    tail = FeedTail(store, Clock())
    waiting = asyncio.create_task(tail.wait(NOTES, 0, DEADLINE_S))
    await asyncio.wait({waiting}, timeout=0.01)
    others = [put("other", f"k{n}", n).records[0] for n in range(2 * ENTRIES_AT_ONCE)]
    await store.submit(Put([*put("team.notes", "k", 1).records, *others], 1))
    assert await waiting == 0


@pytest.mark.parametrize(
    ("watched", "covered"),
    [
        (Watched("a.b", False, True, False), {"a.b"}),
        (Watched("a.b", True, True, False), {"a.b", "a.b.c"}),
        (Watched("a.b", False, False, True), {"a.b._leases"}),
        (Watched("a.b", True, True, True), {"a.b", "a.b.c", "a.b._leases", "a.b.c._leases"}),
    ],
)
def test_what_a_watch_covers(watched: Watched, covered: set[str]) -> None:
    every = {"a", "a.b", "a.b.c", "a.bc", "a.b._leases", "a.b.c._leases", "a.b._jobs", "_jobs"}
    assert {namespace for namespace in every if watched.covers(namespace)} == covered
