"""Registers in the store: what was promised, accepted or learned is durable, and moves as a whole."""

from pathlib import Path
from typing import Any

import pytest

from spine_core.records.encoding import Record, decode, encode
from spine_core.records.versions import STRONG, kind_of
from spine_core.replication.registers.encoding import decode_state, decode_value, encode_value
from spine_core.replication.registers.state import (
    NO_BALLOT,
    Ballot,
    RegisterValue,
    ballot_in,
    grown_from,
    version_of,
)
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Slot, StoreNumber
from spine_node.store import Store, checksum
from spine_node.store.draft import OpenRound
from spine_node.store.layout import Table
from spine_node.store.operations import (
    Accept,
    AcceptReply,
    Adopt,
    Asked,
    Learn,
    MergePage,
    MergeReply,
    Operation,
    Prepare,
    PrepareReply,
    StoredEntry,
)
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
)

KEY, SLOT = key(1), Slot(1)


def ballot(ms: int) -> Ballot:
    return ballot_in(at(ms))


def value(ms: int, base: Record | None = None) -> RegisterValue:
    """Return the value that the round of `ms` has made from a base."""
    written = Record(version_of(ballot(ms)), op=ms, body=b"strong")
    return grown_from(base)._replace(record=written, changes=((ms, ballot(ms)),))


def prepare(ms: int, *, epoch: int = EPOCH, slot: int = 1) -> Prepare:
    return Prepare(key(slot), Slot(slot), epoch, ballot(ms))


def accept(ms: int, *, epoch: int = EPOCH) -> Accept:
    return Accept(KEY, SLOT, epoch, ballot(ms), encode_value(value(ms), checksum))


def learn(ms: int, *, whole: bool = False) -> Learn:
    return Learn(KEY, SLOT, EPOCH, ballot(ms), encode_value(value(ms), checksum) if whole else None)


async def promised(store: Store, ms: int) -> PrepareReply:
    reply = await store.submit(prepare(ms))
    assert reply.status is ReplicaStatus.OK, reply
    return reply


async def reopened(harness: StoreHarness, store: Store) -> Store:
    await store.close(clean=False)
    return harness.open()


async def test_a_promise_carries_the_weak_record_and_outlives_a_crash(
    harness: StoreHarness,
) -> None:
    store = await harness.adopted()
    await store.submit(put(1, at(0)))
    reply = await promised(store, 5)
    assert reply.accepted == NO_BALLOT
    held = decode(record(at(0), b"a"), checksum)
    assert decode_value(reply.value, checksum) == grown_from(held)
    store = await reopened(harness, store)
    assert store.open_rounds == {KEY: OpenRound(ballot(5), NO_BALLOT)}
    assert await store.submit(prepare(4)) == PrepareReply(ReplicaStatus.NACK, promised=ballot(5))
    await store.close()


async def test_an_accepted_value_outlives_a_crash_and_is_no_record_yet(
    harness: StoreHarness,
) -> None:
    store = await harness.adopted()
    await promised(store, 5)
    assert await store.submit(accept(5)) == AcceptReply(ReplicaStatus.OK)
    store = await reopened(harness, store)
    assert store.get(KEY) is None
    assert store.oldest_unlearned() == hlc(5)
    reply = await promised(store, 6)
    assert (reply.accepted, reply.learned) == (ballot(5), False)
    assert decode_value(reply.value, checksum) == value(5)
    await store.close()


@pytest.mark.parametrize("whole", [False, True])
async def test_what_is_learned_becomes_the_record_and_counts_in_the_digests(
    harness: StoreHarness, whole: bool
) -> None:
    store = await harness.adopted()
    await promised(store, 5)
    await store.submit(accept(5))
    before = store.root(1)
    assert await store.submit(learn(5, whole=whole)) == AcceptReply(ReplicaStatus.OK)
    assert store.get(KEY) == encode(value(5).record, checksum)
    assert store.root(1) != before
    assert (store.open_rounds, store.oldest_unlearned()) == ({}, None)
    assert [entry.key for entry in store.feed_since(0, 10)] == [KEY]
    store = await reopened(harness, store)
    reply = await promised(store, 6)
    assert (reply.accepted, reply.learned) == (ballot(5), True)
    assert decode_value(reply.value, checksum) == value(5)
    await store.close()


async def test_a_value_that_was_not_accepted_here_is_learned_only_with_its_bytes(
    store: Store,
) -> None:
    assert (await store.submit(learn(5))).status is ReplicaStatus.MISDIRECTED
    assert store.get(KEY) is None
    assert (await store.submit(learn(5, whole=True))).status is ReplicaStatus.OK
    assert store.get(KEY) == encode(value(5).record, checksum)


@pytest.mark.parametrize("epoch", [EPOCH - 1, EPOCH + 1])
async def test_rounds_of_another_epoch_change_nothing(store: Store, epoch: int) -> None:
    assert (await store.submit(prepare(5, epoch=epoch))).status is not ReplicaStatus.OK
    await promised(store, 5)
    assert (await store.submit(accept(5, epoch=epoch))).status is not ReplicaStatus.OK
    assert store.oldest_unlearned() is None


async def test_rounds_of_a_slot_of_somebody_else_are_misdirected(store: Store) -> None:
    assert (await store.submit(prepare(5, slot=SLOTS))).status is ReplicaStatus.MISDIRECTED


async def test_a_damaged_record_promises_nothing_and_heals_by_learning(store: Store) -> None:
    await store.submit(put(1, at(0)))
    spoil(store, store._tables.rec)
    assert (await store.submit(prepare(5))).status is ReplicaStatus.DAMAGED
    assert (await store.submit(learn(6, whole=True))).status is ReplicaStatus.OK
    assert (await promised(store, 7)).learned


async def test_a_damaged_record_is_not_replaced_by_an_older_round(store: Store) -> None:
    await store.submit(learn(6, whole=True))
    spoil(store, store._tables.rec)
    assert (await store.submit(learn(5, whole=True))).status is ReplicaStatus.DAMAGED
    assert (await store.submit(learn(6, whole=True))).status is ReplicaStatus.OK
    assert (await promised(store, 7)).accepted == ballot(6)


async def test_damaged_acceptor_state_takes_part_in_nothing(store: Store) -> None:
    await promised(store, 5)
    spoil(store, store._tables.reg)
    operations: tuple[Asked[Any], ...] = (prepare(6), accept(6), learn(6, whole=True))
    for operation in operations:
        assert (await store.submit(operation)).status is ReplicaStatus.DAMAGED


def spoil(store: Store, table: Table) -> None:
    """Flip a bit of what one table holds under the key."""
    with store._environment.begin(write=True, db=table) as txn:
        raw = txn.get(KEY)
        assert raw is not None
        txn.put(KEY, damaged(raw))


async def test_what_lies_in_a_slot_of_others_holds_no_stable_time_back(
    harness: StoreHarness,
) -> None:
    store = await harness.adopted()
    await promised(store, 5)
    await store.submit(accept(5))
    assert store.oldest_unlearned() == hlc(5)
    others = frozenset(range(SLOTS)) - {1}
    await store.submit(Adopt(b'{"epoch":4}', EPOCH + 1, StoreNumber(1), "cluster", others))
    assert store.oldest_unlearned() is None
    await store.close()


async def test_a_slot_that_is_dropped_loses_its_registers(harness: StoreHarness) -> None:
    store = await harness.adopted()
    await promised(store, 5)
    others = frozenset(range(SLOTS)) - {1}
    await store.submit(Adopt(b'{"epoch":4}', EPOCH + 1, StoreNumber(1), "cluster", others))
    await store.drop([1], EPOCH + 1)
    assert (store.register(KEY), store.open_rounds) == (None, {})
    await store.close()


# Pulls


async def entry_of(tmp_path: Path, *operations: Operation) -> StoredEntry:
    """Return what a pull finds in another store after some operations."""
    source = await StoreHarness(tmp_path / "source").adopted()
    for operation in operations:
        await source.submit(operation)
    (entry,), _ = source.entries(1, None, 10, 1 << 20)
    assert entry == source.entry(KEY)
    await source.close()
    return entry


async def test_a_full_transfer_brings_the_whole_acceptor_state(
    tmp_path: Path, store: Store
) -> None:
    entry = await entry_of(tmp_path, put(1, at(0)), prepare(5), accept(5), prepare(9))
    page = MergePage(1, EPOCH, [entry], full_transfer=True)
    assert await store.submit(page) == MergeReply("ok", 1)
    assert store.entry(KEY) == entry
    assert await store.submit(page) == MergeReply("ok", 0)
    assert (await store.submit(accept(8))).status is ReplicaStatus.NACK


async def test_a_full_transfer_brings_a_promise_without_a_record(
    tmp_path: Path, store: Store
) -> None:
    entry = await entry_of(tmp_path, prepare(5))
    assert entry.record is None
    assert (await store.submit(MergePage(1, EPOCH, [entry], full_transfer=True))).applied == 1
    assert (await store.submit(put(1, at(9)))).of(0) is ReplicaStatus.STRONG


async def test_a_full_transfer_lowers_no_promise(tmp_path: Path, store: Store) -> None:
    entry = await entry_of(tmp_path, prepare(5), accept(5))
    await promised(store, 7)
    await store.submit(MergePage(1, EPOCH, [entry], full_transfer=True))
    raw = store.register(KEY)
    assert raw is not None
    state = decode_state(raw, None, checksum)
    assert (state.promised, state.accepted) == (ballot(7), ballot(5))


async def test_a_recurring_pull_brings_what_was_learned_and_nothing_else(
    tmp_path: Path, store: Store
) -> None:
    unlearned = await entry_of(tmp_path, prepare(5), accept(5))
    assert await store.submit(MergePage(1, EPOCH, [unlearned])) == MergeReply("ok", 0)
    assert store.register(KEY) is None


async def test_a_value_that_was_learned_before_an_open_round_has_still_to_be_pulled(
    tmp_path: Path, store: Store
) -> None:
    entry = await entry_of(tmp_path, prepare(5), accept(5), learn(5), prepare(6), accept(6))
    assert await store.submit(MergePage(1, EPOCH, [entry])) == MergeReply("ok", 0, open=1)
    await store.submit(learn(5, whole=True))
    assert await store.submit(MergePage(1, EPOCH, [entry])) == MergeReply("ok", 0)


async def test_a_recurring_pull_learns(tmp_path: Path, store: Store) -> None:
    learned = await entry_of(tmp_path, prepare(5), accept(5), learn(5))
    assert await store.submit(MergePage(1, EPOCH, [learned])) == MergeReply("ok", 1)
    assert store.entry(KEY) == learned


async def test_a_pull_brings_weak_records_even_where_a_round_is_under_way(store: Store) -> None:
    await promised(store, 5)
    page = MergePage(1, EPOCH, [StoredEntry(KEY, record(at(1)))])
    assert await store.submit(page) == MergeReply("ok", 1)
    assert (await store.submit(put(1, at(1)))).of(0) is ReplicaStatus.STRONG


async def test_a_strong_record_without_its_acceptor_state_is_refused(store: Store) -> None:
    strong = record(at(1, kind=STRONG))
    assert kind_of(decode(strong, checksum).version) == STRONG
    reply = await store.submit(MergePage(1, EPOCH, [StoredEntry(KEY, strong)]))
    assert reply == MergeReply("ok", 0, corrupt=1)
