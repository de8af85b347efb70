from spine_core.records.versions import STRONG
from spine_node.store import Store
from spine_node.store.operations import MergePage, RaiseFloor
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
    tombstone,
)


async def fill(store: Store) -> None:
    page = [
        (key(1, "live"), record(at(1))),
        (key(1, "grave"), tombstone(at(10))),
        (key(1, "late-grave"), tombstone(at(10, count=1))),
        (key(1, "expired"), record(at(1), expires_ms=NOW_MS + 10)),
        (key(1, "expires-later"), record(at(1), expires_ms=NOW_MS + 11)),
        (key(1, "strong-grave"), tombstone(at(10, kind=STRONG))),
    ]
    assert (await store.submit(MergePage(1, EPOCH, stored(page)))).applied == len(page)


async def test_raising_the_floor_removes_what_every_replica_has_buried(store: Store) -> None:
    await fill(store)
    assert await store.submit(RaiseFloor(1, hlc(10))) == 2
    assert set(rows(store)) == {
        key(1, name) for name in ("live", "late-grave", "expires-later", "strong-grave")
    }
    assert store.floor(1) == hlc(10)
    assert store.floor(2) == 0


async def test_a_floor_never_falls_and_is_durable(harness: StoreHarness) -> None:
    store = await harness.adopted()
    await store.submit(RaiseFloor(1, hlc(10)))
    assert await store.submit(RaiseFloor(1, hlc(4))) == 0
    assert store.floor(1) == hlc(10)
    await store.close(clean=False)
    store = harness.open()
    assert store.floor(1) == hlc(10)
    assert (await store.submit(put(1, at(10)))).of(0) == "late"
    await store.close()


async def test_a_full_transfer_goes_on_below_a_floor_that_is_there_already(store: Store) -> None:
    await store.submit(RaiseFloor(1, hlc(10)))
    page = [(key(1, "old"), record(at(3)))]
    assert (await store.submit(MergePage(1, EPOCH, stored(page), full_transfer=True))).applied == 1
    assert set(rows(store)) == {key(1, "old")}


async def test_two_replicas_agree_whatever_one_of_them_has_purged_already(
    harness: StoreHarness,
) -> None:
    store = await harness.adopted()
    for name in ("live", "strong-grave"):
        raw = record(at(1)) if name == "live" else tombstone(at(10, kind=STRONG))
        await store.submit(MergePage(1, EPOCH, stored([(key(1, name), raw)])))
    await store.submit(RaiseFloor(1, hlc(10)))
    kept = store.root(1)  # the strong tombstone is still here, and is in no digest
    await store.submit(MergePage(2, EPOCH, stored([(key(2, "live"), record(at(1)))])))
    assert key(1, "strong-grave") in rows(store)
    await store.close(clean=False)
    store = harness.open()
    assert store.root(1) == kept
    await store.close()


async def test_digests_after_a_purge_are_those_of_a_scan(harness: StoreHarness) -> None:
    store = await harness.adopted()
    await fill(store)
    for ms in (9, 10, 11):
        await store.submit(RaiseFloor(1, hlc(ms)))
    kept = picture(store)
    await store.close(clean=False)
    store = harness.open()
    assert picture(store) == kept
    await store.close()
