import pytest
from msgspec.structs import replace

from spine_core.scalars import StoreNumber
from spine_node.store import Store
from spine_node.store.operations import Adopt, DropReply, DropSlot, PutReply
from unit.store.harness import DOCUMENT, EPOCH, StoreHarness, at, key, put

NEXT = Adopt(b'{"epoch":4}', EPOCH + 1, StoreNumber(1), "cluster", frozenset({1, 2}))


async def test_a_new_store_knows_no_epoch_and_owns_nothing(harness: StoreHarness) -> None:
    store = harness.open()
    assert (store.epoch, store.document, store.owned) == (0, None, frozenset())
    assert (await store.submit(put(1, at(0)))).of(0) == "need-document"
    assert (await store.submit(put(1, at(0), epoch=0))).of(0) == "misdirected"
    await store.close()


async def test_slots_and_epoch_switch_exactly_where_the_adoption_stands_in_the_queue(
    harness: StoreHarness, store: Store
) -> None:
    replies = await harness.in_one_batch(
        store,
        [
            put(3, at(0), "before"),
            NEXT,
            put(3, at(0), "after"),
            put(3, at(0), "lost", epoch=EPOCH + 1),
            put(2, at(0), "kept", epoch=EPOCH + 1),
        ],
    )
    assert replies[1] == "ok"
    assert [reply.of(0) for reply in (replies[0], *replies[2:])] == [
        "ok",
        "stale-epoch",
        "misdirected",
        "ok",
    ]
    assert (store.epoch, store.document, store.owned) == (EPOCH + 1, NEXT.document, NEXT.owned)


async def test_an_adoption_is_durable_before_it_is_answered(harness: StoreHarness) -> None:
    store = await harness.adopted()
    assert await store.submit(NEXT) == "ok"
    await store.close(clean=False)
    again = harness.open()
    assert (again.epoch, again.document, again.owned) == (EPOCH + 1, NEXT.document, NEXT.owned)
    assert (again.identity.number, again.identity.cluster_id) == (1, "cluster")
    assert (await again.submit(put(1, at(0)))).of(0) == "stale-epoch"
    await again.close()


async def test_nothing_of_the_new_epoch_is_seen_before_its_commit(
    harness: StoreHarness, store: Store
) -> None:
    harness.gate.hold()
    waiting = store.submit(NEXT)
    await harness.gate.arrived()
    assert (store.epoch, store.owned) == (EPOCH, DOCUMENT.owned)
    harness.gate.release()
    assert await waiting == "ok"
    assert store.epoch == EPOCH + 1


@pytest.mark.parametrize(
    ("document", "answer"),
    [
        (DOCUMENT, "ok"),  # the same again
        (replace(DOCUMENT, document=b'{"epoch": 3}'), "conflict"),
        (replace(DOCUMENT, epoch=EPOCH - 1), "older"),
        (replace(NEXT, cluster_id="other"), "conflict"),
    ],
)
async def test_epochs_only_grow_and_never_fork(store: Store, document: Adopt, answer: str) -> None:
    assert await store.submit(document) == answer
    assert (store.epoch, store.document, store.owned) == (
        EPOCH,
        DOCUMENT.document,
        DOCUMENT.owned,
    )
    assert await store.submit(put(3, at(0))) == PutReply()


async def test_a_document_that_does_not_name_the_store_keeps_its_number(store: Store) -> None:
    assert store.identity.number == 1
    assert await store.submit(replace(NEXT, number=None, owned=frozenset())) == "ok"
    assert store.identity.number == 1
    assert (await store.submit(put(1, at(0), epoch=EPOCH + 1))).of(0) == "misdirected"


async def test_only_a_slot_that_is_not_owned_can_be_dropped(store: Store) -> None:
    for slot in (2, 3):
        await store.submit(put(slot, at(0)))
    assert await store.submit(DropSlot(3, EPOCH)) == DropReply("owned")
    assert await store.submit(NEXT) == "ok"
    assert await store.submit(DropSlot(3, EPOCH)) == DropReply("stale-epoch")
    assert await store.submit(DropSlot(3, EPOCH + 2)) == DropReply("need-document")
    assert await store.submit(DropSlot(2, EPOCH + 1)) == DropReply("owned")
    assert await store.submit(DropSlot(3, EPOCH + 1)) == DropReply("ok")
    assert store.get(key(2)) is not None
    assert store.get(key(3)) is None
    assert (store.root(3), store.slot_stats(3)) == (bytes(16), (0, 0))
