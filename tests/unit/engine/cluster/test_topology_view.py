"""A document comes into force only when it is durable, only forward, and only if it is ours."""

import asyncio
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

import pytest

from spine_core.errors import ProblemError
from spine_core.records.hlc import HybridClock
from spine_core.records.versions import hlc_from_ms, make_version
from spine_core.scalars import Origin, StoreNumber
from spine_core.topology.document import Document
from spine_node.engine.cluster.topology_view import Membership, MemberStatus
from spine_node.store import Store, StorePorts, open_store
from spine_node.store.committer import Failpoint
from spine_node.store.draft import Effects
from spine_node.store.operations import Adopt, Asked, FinishPull, MergePage, Operation, ReplyT
from spine_node.store.writer import Perform, Writer
from unit.engine.harness import OTHER, document_for, joining_store
from unit.store.harness import StoreHarness, key, record, stored

OLD = make_version(hlc_from_ms(1000), Origin(1))


async def refused(membership: Membership, document: Document | bytes) -> str:
    """Return the code with which a document is refused."""
    raw = document if isinstance(document, bytes) else document.canonical()
    with pytest.raises(ProblemError) as error:
        await membership.adopt(raw)
    return error.value.code


async def give_records(store: Store, slots: AbstractSet[int], epoch: int) -> None:
    for slot in slots:
        page = stored([(key(slot), record(OLD))])
        for operation in (MergePage(slot, epoch, page), FinishPull(slot, epoch, checkpoint=b"all")):
            assert (await store.submit(operation)).status == "ok"


def held(store: Store, slots: AbstractSet[int]) -> set[int]:
    return {slot for slot in slots if store.get(key(slot)) is not None}


async def test_an_adopted_document_survives_a_power_cut(
    harness: StoreHarness, store: Store
) -> None:
    document = document_for(store)
    await Membership(store).adopt(document.canonical())
    await store.close(clean=False)
    again = harness.open()
    membership = Membership(again)
    assert membership.view is not None
    assert (membership.epoch, membership.view.digest) == (1, document.digest())
    assert (membership.view.number, membership.status) == (1, MemberStatus.MEMBER)
    await again.close(clean=False)


async def test_a_document_is_not_shown_before_it_is_durable(
    harness: StoreHarness, store: Store
) -> None:
    membership = Membership(store)
    harness.gate.hold()
    adopting = asyncio.create_task(membership.adopt(document_for(store).canonical()))
    await harness.gate.arrived()
    assert membership.view is None
    harness.gate.release()
    await adopting
    assert membership.epoch == 1


async def test_a_durable_document_is_shown_though_its_bringer_went_away(
    harness: StoreHarness, store: Store
) -> None:
    shown = asyncio.Event()
    membership = Membership(store, on_adopted=lambda _: shown.set())
    harness.gate.hold()
    adopting = asyncio.create_task(membership.adopt(document_for(store).canonical()))
    await harness.gate.arrived()
    adopting.cancel()
    harness.gate.release()
    async with asyncio.timeout(10):
        await shown.wait()
    assert membership.epoch == store.epoch == 1


async def test_an_older_document_is_refused(store: Store) -> None:
    membership = Membership(store)
    first = document_for(store)
    await membership.adopt(joining_store(first, OTHER).canonical())
    assert await refused(membership, first) == "stale-epoch"
    assert membership.epoch == 2


async def test_another_document_of_the_same_epoch_is_a_conflict(store: Store) -> None:
    membership = Membership(store)
    document = document_for(store)
    await membership.adopt(document.canonical())
    assert await refused(membership, replace(document, next_number=9)) == "epoch-conflict"
    assert membership.view is not None
    assert membership.view.digest == document.digest()


async def test_the_same_document_again_changes_nothing_and_calls_nobody(store: Store) -> None:
    calls: list[int] = []
    membership = Membership(store, on_adopted=lambda view: calls.append(view.epoch))
    raw = document_for(store).canonical()
    for same in (raw, raw, raw + b"\n"):
        await membership.adopt(same)
    assert calls == [1]


async def test_a_document_of_another_cluster_is_refused_for_good(
    harness: StoreHarness, store: Store
) -> None:
    membership = Membership(store)
    await membership.adopt(document_for(store).canonical())
    foreign = replace(document_for(store), epoch=7, previous="x", cluster_id=OTHER)
    assert await refused(membership, foreign) == "misdirected"
    await store.close(clean=False)
    again = harness.open()
    assert await refused(Membership(again), foreign) == "misdirected"
    await again.close(clean=False)


async def test_a_first_document_that_does_not_name_us_is_refused(store: Store) -> None:
    membership = Membership(store)
    assert await refused(membership, document_for(OTHER)) == "misdirected"
    assert (membership.status, store.document) == (MemberStatus.UNJOINED, None)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[1]", b'{"epoch": "x"}', b"\xff"])
async def test_what_is_no_document_is_refused_by_name(store: Store, raw: bytes) -> None:
    membership = Membership(store)
    assert await refused(membership, raw) == "validation-failed"
    membership.offer(raw)  # and a peer that sends it is not answered by an exception
    await asyncio.gather(*membership._offers)
    assert membership.view is None


async def test_a_newer_document_of_a_peer_is_adopted_and_an_older_one_is_not(store: Store) -> None:
    membership = Membership(store)
    first = document_for(store)
    second = joining_store(first, OTHER)
    for document in (second, first):
        membership.offer(document.canonical())
        await asyncio.gather(*membership._offers)
    assert membership.epoch == 2


class NotingWriter(Writer[Effects]):
    """A writer that keeps what it was asked for."""

    def __init__(self, perform: Perform[Effects], failpoint: Failpoint) -> None:
        super().__init__(perform, failpoint)
        self.asked: list[Operation] = []

    def submit(self, operation: Asked[ReplyT]) -> "asyncio.Future[ReplyT]":
        self.asked.append(operation)
        return super().submit(operation)


async def test_a_document_that_many_bring_at_once_is_read_once(tmp_path: Path) -> None:
    writers: list[NotingWriter] = []

    def writer_of(perform: Perform[Effects], failpoint: Failpoint) -> NotingWriter:
        writers.append(NotingWriter(perform, failpoint))
        return writers[-1]

    store = open_store(
        tmp_path / "store",
        clock=HybridClock(),
        physical_ms=lambda: 0,
        ports=StorePorts(writer=writer_of),
    )
    membership = Membership(store)
    await membership.adopt(document_for(store).canonical())
    raw = joining_store(document_for(store), OTHER).canonical()
    for _ in range(50):  # the refusals of as many writes under way
        membership.offer(raw)
    await asyncio.gather(*(membership.adopt(raw) for _ in range(50)))
    await membership.adopt(raw)
    await store.close()
    (writer,) = writers
    adopted = [operation.epoch for operation in writer.asked if isinstance(operation, Adopt)]
    assert (membership.epoch, adopted) == (2, [1, 2])


async def test_two_documents_at_once_leave_the_newer_one_in_force(store: Store) -> None:
    membership = Membership(store)
    first = document_for(store)
    second = joining_store(first, OTHER)
    await asyncio.gather(
        membership.adopt(second.canonical()),
        membership.adopt(first.canonical()),
        return_exceptions=True,
    )
    assert membership.epoch == store.epoch == 2


async def test_a_joiner_that_is_no_longer_named_drops_what_it_pulled(store: Store) -> None:
    membership = Membership(store)
    prepare = joining_store(document_for(OTHER), store.identity.store_id)
    view = await membership.adopt(prepare.canonical())
    gained = set(view.placement.gained()[StoreNumber(4)])
    await give_records(store, gained, 2)
    assert held(store, gained) == gained
    await membership.adopt(prepare.reverted(now_ms=1).canonical())
    assert held(store, gained) == set()
    assert all(store.pull_checkpoint(slot) is None for slot in gained)
    assert membership.status is MemberStatus.RETIRED


async def test_a_member_that_is_no_longer_named_keeps_everything(store: Store) -> None:
    membership = Membership(store)
    before = joining_store(document_for(store), OTHER).switched().committed(now_ms=1)
    view = await membership.adopt(before.canonical())
    mine = set(view.placement.slots_of(StoreNumber(1)))
    await give_records(store, mine, before.epoch)
    prepare = before.with_change("drain", leaving=frozenset({"a0"}), now_ms=2)
    for document in (prepare, prepare.switched(), prepare.switched().committed(now_ms=3)):
        await membership.adopt(document.canonical())
    assert membership.status is MemberStatus.RETIRED
    assert held(store, mine) == mine
    with pytest.raises(ProblemError):
        membership.member_view()
