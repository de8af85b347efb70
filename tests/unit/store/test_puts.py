import asyncio

import pytest

from spine_core.records.hlc import MAX_WRITE_MS
from spine_core.records.versions import STRONG
from spine_core.replication.put_rules import PutKind, RefusedPut
from spine_core.replication.registers.state import ballot_in
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Slot
from spine_node.store import Store, StoreClosedError
from spine_node.store.operations import Barrier, MergePage, Prepare, Put, PutReply, RaiseFloor
from unit.store.harness import (
    EPOCH,
    SLOTS,
    StoreHarness,
    at,
    hlc,
    key,
    put,
    record,
    refused,
    rows,
    stored,
    tombstone,
)


async def test_a_put_that_was_acknowledged_can_be_read_at_once(store: Store) -> None:
    assert await store.submit(put(1, at(0))) == PutReply()
    assert store.get(key(1)) == record(at(0), b"a")
    assert store.get(key(1, "b")) is None
    assert store.get_many([key(1, "b"), key(1)]) == [
        (key(1, "b"), None),
        (key(1), record(at(0), b"a")),
    ]


async def test_the_newer_version_wins_and_the_older_learns_which(store: Store) -> None:
    assert await store.submit(put(1, at(5))) == PutReply()
    assert await store.submit(put(1, at(4))) == refused(ReplicaStatus.SUPERSEDED, at(5))
    assert await store.submit(put(1, at(6))) == PutReply()
    assert store.get(key(1)) == record(at(6), b"a")


async def test_the_very_version_is_acknowledged_again_without_a_write(store: Store) -> None:
    assert await store.submit(put(1, at(5))) == PutReply()
    before = store.feed_head()
    assert await store.submit(put(1, at(5), raw=record(at(5), b"other"))) == PutReply(
        ReplicaStatus.OK
    )
    assert store.get(key(1)) == record(at(5), b"a")
    assert store.feed_head() == before


async def test_a_put_past_its_deadline_is_late_but_a_write_back_is_not(
    harness: StoreHarness, store: Store
) -> None:
    harness.physical_ms += MAX_WRITE_MS + 1
    assert await store.submit(put(1, at(0))) == refused(ReplicaStatus.LATE)
    assert store.get(key(1)) is None
    assert await store.submit(put(1, at(0), kind=PutKind.WRITE_BACK)) == PutReply()


async def test_a_record_not_held_at_or_below_the_floor_is_late(store: Store) -> None:
    await store.submit(RaiseFloor(1, hlc(10)))
    assert await store.submit(put(1, at(10))) == refused(ReplicaStatus.LATE)
    assert await store.submit(put(1, at(10, count=1))) == PutReply()
    assert await store.submit(put(2, at(10))) == PutReply()


async def test_a_strong_record_refuses_weak_puts_and_keeps_its_value(store: Store) -> None:
    strong = record(at(0, kind=STRONG))
    assert (await store.submit(MergePage(1, EPOCH, stored([(key(1), strong)])))).applied == 1
    assert await store.submit(put(1, at(9))) == refused(ReplicaStatus.STRONG)
    assert store.get(key(1)) == strong


async def test_acceptor_state_alone_refuses_weak_puts(store: Store) -> None:
    promised = await store.submit(Prepare(key(1), Slot(1), EPOCH, ballot_in(at(5))))
    assert promised.status is ReplicaStatus.OK
    assert await store.submit(put(1, at(9))) == refused(ReplicaStatus.STRONG)
    assert store.get(key(1)) is None
    assert await store.submit(put(1, at(9), "b")) == PutReply()


@pytest.mark.parametrize(
    ("epoch", "status"), [(EPOCH - 1, "stale-epoch"), (EPOCH + 1, "need-document")]
)
async def test_a_put_of_another_epoch_is_refused(store: Store, epoch: int, status: str) -> None:
    assert (await store.submit(put(1, at(0), epoch=epoch))).of(0) == status
    assert store.get(key(1)) is None


async def test_a_slot_of_somebody_else_is_misdirected(store: Store) -> None:
    assert (await store.submit(put(SLOTS, at(0)))).of(0) == "misdirected"
    assert store.get(key(SLOTS)) is None


async def test_a_batch_sees_its_own_writes_in_queue_order(
    harness: StoreHarness, store: Store
) -> None:
    replies = await harness.in_one_batch(
        store, [put(1, at(5)), put(1, at(4)), put(1, at(6)), put(1, at(6))]
    )
    assert replies == [
        PutReply(),
        refused(ReplicaStatus.SUPERSEDED, at(5)),
        PutReply(),
        PutReply(),
    ]
    assert [entry.version for entry in store.feed_since(0, 10)] == [at(5), at(6)]


async def test_one_put_of_a_group_that_is_refused_leaves_the_others_alone(store: Store) -> None:
    await store.submit(put(1, at(5)))
    records = [
        *put(1, at(6), "b").records,
        *put(1, at(4)).records,
        *put(SLOTS, at(6)).records,
        *put(2, at(6)).records,
    ]
    reply = await store.submit(Put(records, EPOCH))
    assert reply == PutReply(
        ReplicaStatus.OK,
        (
            RefusedPut(1, ReplicaStatus.SUPERSEDED, at(5)),
            RefusedPut(2, ReplicaStatus.MISDIRECTED),
        ),
    )
    assert [reply.of(position) for position in range(4)] == [
        "ok", "superseded", "misdirected", "ok",
    ]  # fmt: skip
    assert set(rows(store)) == {key(1), key(1, "b"), key(2)}
    assert store.get(key(1)) == record(at(5), b"a")


async def test_a_group_of_another_epoch_is_refused_whole(store: Store) -> None:
    records = [*put(1, at(0)).records, *put(2, at(0)).records]
    assert await store.submit(Put(records, EPOCH + 1)) == PutReply(ReplicaStatus.NEED_DOCUMENT)
    assert rows(store) == {}


async def test_what_waits_becomes_one_commit(harness: StoreHarness, store: Store) -> None:
    before = harness.gate.commits
    await harness.in_one_batch(store, [put(1, at(0), f"n{i}") for i in range(200)])
    assert harness.gate.commits == before + 2  # the one that was held, and all that gathered behind
    assert store.slot_stats(1)[0] == 200


async def test_nothing_is_acknowledged_or_seen_before_its_commit(
    harness: StoreHarness, store: Store
) -> None:
    harness.gate.hold()
    waiting = store.submit(put(1, at(0)))
    await harness.gate.arrived()
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    assert store.get(key(1)) is None
    assert store.feed_head() == 0
    harness.gate.release()
    assert await waiting == PutReply()


async def test_digest_and_feed_are_there_before_the_acknowledgement(store: Store) -> None:
    heads: list[int] = []
    stop = store.watch_feed(heads.append)
    seen: list[tuple[bytes, list[int]]] = []
    waiting = store.submit(put(1, at(0)))
    waiting.add_done_callback(lambda _: seen.append((store.root(1), list(heads))))
    await waiting
    assert seen == [(store.root(1), [1])]
    assert store.root(1) != bytes(16)
    stop()
    await store.submit(put(1, at(1)))
    assert heads == [1]


async def test_a_caller_that_gave_up_disturbs_nobody(harness: StoreHarness, store: Store) -> None:
    harness.gate.hold()
    lost, kept = store.submit(put(1, at(0))), store.submit(put(1, at(0), "b"))
    await harness.gate.arrived()
    lost.cancel()
    harness.gate.release()
    assert await kept == PutReply()
    assert set(rows(store)) == {key(1), key(1, "b")}  # giving up takes nothing back


async def test_a_barrier_resolves_behind_what_was_queued_before_it(store: Store) -> None:
    before = store.submit(put(1, at(0)))
    await store.submit(Barrier())
    assert before.done()


async def test_a_closed_store_finishes_its_queue_and_takes_no_more(harness: StoreHarness) -> None:
    store = await harness.adopted()
    puts = [store.submit(put(1, at(0), f"n{i}")) for i in range(600)]
    await store.close()
    assert [await reply for reply in puts] == [PutReply()] * 600
    with pytest.raises(StoreClosedError):
        store.submit(Barrier())


async def test_a_deletion_is_a_record_too(store: Store) -> None:
    await store.submit(put(1, at(0)))
    grave = tombstone(at(1))
    assert await store.submit(put(1, at(1), raw=grave)) == PutReply()
    assert store.get(key(1)) == grave
