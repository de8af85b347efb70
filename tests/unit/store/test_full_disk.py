import asyncio
import threading
from collections.abc import Callable
from functools import partial

import lmdb
import pytest

from spine_core.replication.put_rules import PutKind
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import StoreNumber
from spine_node.store import (
    StorageError,
    StorageFullError,
    Store,
    StoreBusyError,
    StoreClosedError,
)
from spine_node.store.draft import Effects
from spine_node.store.operations import (
    Adopt,
    Barrier,
    DropSlot,
    MergePage,
    MergeReply,
    Put,
    PutReply,
    RaiseFloor,
)
from spine_node.store.writer import Writer
from unit.store.harness import (
    EPOCH,
    StoreHarness,
    at,
    hlc,
    key,
    picture,
    put,
    record,
    rows,
    stored,
    tombstone,
)

BODY = b"x" * 2000
NEXT = Adopt(b'{"epoch":4}', EPOCH + 1, StoreNumber(1), "cluster", frozenset({2}))


def large(slot: int, number: int, *, kind: PutKind = PutKind.WRITE) -> Put:
    return put(
        slot,
        at(number),
        f"n{number:04}",
        raw=record(at(number), BODY),
        kind=kind,
    )


async def test_a_batch_that_does_not_fit_is_refused_whole_and_the_next_is_not(
    harness: StoreHarness, store: Store
) -> None:
    await store.submit(put(1, at(0), "held"))
    before = (rows(store), picture(store), store.feed_head(), store.epoch, store.floor(2))
    replies = await harness.in_one_batch(
        store,
        [
            put(1, at(1), "one"),
            MergePage(1, EPOCH, stored([(key(1, "two"), record(at(1)))])),
            RaiseFloor(2, hlc(5)),
            NEXT,
        ],
        disk=lmdb.MapFullError("no room"),
    )
    assert replies[:2] == [PutReply(ReplicaStatus.FULL), MergeReply("full")]
    assert [type(reply) for reply in replies[2:]] == [StorageFullError, StorageFullError]
    assert (rows(store), picture(store), store.feed_head(), store.epoch, store.floor(2)) == before
    assert await store.submit(put(1, at(1), "one")) == PutReply()  # still the old epoch
    assert await store.submit(put(2, at(1), "two")) == PutReply()  # and the old floor
    assert store.feed_head() == 3


async def test_a_full_map_refuses_writes_and_goes_on_answering_reads(harness: StoreHarness) -> None:
    harness.map_bytes = 1 << 20
    store = await harness.adopted()
    acknowledged = set()
    for number in range(1000):
        if (await store.submit(large(1, number))).of(0) == "full":
            break
        acknowledged.add(key(1, f"n{number:04}"))
    assert 100 < len(acknowledged) < 1000
    assert set(rows(store)) == acknowledged
    await store.close(clean=False)
    harness.map_bytes = 1 << 22
    store = harness.open()
    assert set(rows(store)) == acknowledged
    await store.close()


async def test_a_low_disk_turns_clients_away_first_then_peers_and_deletions_never(
    harness: StoreHarness,
) -> None:
    harness.quota_bytes = 1 << 20
    store = await harness.adopted()
    statuses = [(await store.submit(large(1, number))).of(0) for number in range(600)]
    client = statuses.index(ReplicaStatus.FULL)
    assert set(statuses[client:]) == {"full"}
    assert await store.submit(large(1, client, kind=PutKind.WRITE_BACK)) == PutReply()
    number = client + 1
    while (await store.submit(large(1, number, kind=PutKind.WRITE_BACK))).of(0) == "ok":
        number += 1
    assert number < 600
    page = [(key(1, f"n{number:04}"), record(at(number), BODY))]
    assert await store.submit(MergePage(1, EPOCH, stored(page))) == MergeReply("full")
    assert store.get(page[0][0]) is None
    grave = tombstone(at(999))
    assert await store.submit(put(1, at(999), "n0000", raw=grave)) == PutReply()
    assert store.get(key(1, "n0000")) == grave
    assert await store.submit(put(1, at(1), "n0001")) == PutReply()  # held already
    await store.close()


async def test_a_dropped_slot_makes_room(harness: StoreHarness) -> None:
    harness.quota_bytes = 1 << 20
    store = await harness.adopted()
    number = 0
    while (await store.submit(large(1, number))).of(0) == "ok":
        number += 1
    assert await store.submit(NEXT) == "ok"
    assert not (await store.submit(DropSlot(1, EPOCH + 1))).more
    assert await store.submit(put(2, at(1), epoch=EPOCH + 1)) == PutReply()
    await store.close()


@pytest.mark.parametrize(
    ("writer_of", "waiting"),
    [(partial(Writer, waiting_max=4), 3), (partial(Writer, waiting_bytes_max=10_000), 4)],
    ids=["operations", "bytes"],
)
async def test_a_disk_that_hangs_fills_no_memory_without_end(
    harness: StoreHarness, writer_of: Callable[..., Writer[Effects]], waiting: int
) -> None:
    harness.writer_of = writer_of
    store = await harness.adopted()
    for batch in range(2):
        harness.gate.hold()
        busy = store.submit(Barrier())
        puts = [store.submit(large(1, 10 * batch + number)) for number in range(waiting)]
        with pytest.raises(StoreBusyError):
            store.submit(large(1, 99))
        harness.gate.release()
        await busy
        assert await asyncio.gather(*puts) == [PutReply()] * waiting
    await store.close()


async def test_what_holds_no_record_passes_a_queue_full_of_bytes(harness: StoreHarness) -> None:
    harness.writer_of = partial(Writer, waiting_bytes_max=1)
    store = await harness.adopted()
    with pytest.raises(StoreBusyError):
        store.submit(large(1, 1))
    assert await store.submit(NEXT) == "ok"
    await store.close()


async def test_a_disk_that_fails_ends_all_writing_and_no_reading(harness: StoreHarness) -> None:
    store = await harness.adopted()
    await store.submit(put(1, at(0), "held"))
    replies = await harness.in_one_batch(
        store, [put(1, at(1), "lost"), Barrier()], disk=lmdb.Error("Input/output error")
    )
    assert [type(reply) for reply in replies] == [StoreClosedError, StoreClosedError]
    assert isinstance(store.failure, StorageError)
    with pytest.raises(StoreClosedError):
        store.submit(put(1, at(2)))
    assert set(rows(store)) == {key(1, "held")}
    await store.close()
    store = harness.open()
    assert not store.identity.was_clean
    assert set(rows(store)) == {key(1, "held")}
    await store.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_bug_in_the_writer_leaves_nobody_waiting_and_shows_as_a_failure(
    harness: StoreHarness,
) -> None:
    store = await harness.adopted()
    replies = await harness.in_one_batch(store, [Barrier(), Barrier()], disk=ZeroDivisionError())
    assert [type(reply) for reply in replies] == [StoreClosedError, StoreClosedError]
    assert store.failure is not None
    await store.close()
    for thread in threading.enumerate():
        if thread.name == "store-writer":
            await asyncio.to_thread(thread.join)  # its traceback belongs to this test
