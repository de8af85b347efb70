"""Versions are issued once, whatever the clock does, and only below a durable high-water mark."""

import asyncio
from pathlib import Path

import lmdb
import pytest

from spine_core.errors import ProblemError
from spine_core.records.hlc import MAX_DRIFT_MS
from spine_core.records.versions import Version, hlc_from_ms, hlc_of, ms_of
from spine_core.scalars import StoreNumber
from spine_node.engine.cluster.timestamps import AHEAD_MS, HlcAllocator
from spine_node.store import StorageFullError, Store
from unit.engine.harness import NOW_MS, ManualClock
from unit.store.harness import StoreHarness


class Lives:
    """One store, opened again and again as after a power cut, and the clock it allocator by."""

    def __init__(self, path: Path) -> None:
        self.harness, self.clock = StoreHarness(path), ManualClock()

    def begin(self) -> tuple[Store, HlcAllocator]:
        self.harness.physical_ms = self.clock.wall_ms
        store = self.harness.open()
        return store, HlcAllocator(store, self.harness.clock, self.clock)

    async def durable_high_water(self, store: Store) -> int:
        """End a life at this instant; return what the disk says of its clock."""
        await store.close(clean=False)
        again = self.harness.open()
        await again.close(clean=False)
        return again.hlc_high_water


@pytest.fixture
def lives(tmp_path: Path) -> Lives:
    return Lives(tmp_path / "store")


async def test_no_version_is_issued_before_a_mark_above_it_is_durable(lives: Lives) -> None:
    store, allocator = lives.begin()
    version = await allocator.version(StoreNumber(1))
    assert await lives.durable_high_water(store) > hlc_of(version)


async def test_a_version_waits_for_the_commit_of_its_high_water_mark(lives: Lives) -> None:
    store, allocator = lives.begin()
    lives.harness.gate.hold()
    issuing = asyncio.create_task(allocator.version(StoreNumber(1)))
    await lives.harness.gate.arrived()
    assert not issuing.done()
    lives.harness.gate.release()
    await issuing
    await store.close(clean=False)


async def test_the_mark_stays_ahead_of_a_clock_that_runs(lives: Lives) -> None:
    store, allocator = lives.begin()
    for _ in range(200):
        lives.clock.wall_ms += 13
        version = await allocator.version(StoreNumber(1))
    assert await lives.durable_high_water(store) > hlc_of(version)


async def test_the_mark_stays_ahead_of_what_is_seen_of_faster_clocks(lives: Lives) -> None:
    store, allocator = lives.begin()
    allocator.observe(hlc_from_ms(NOW_MS + MAX_DRIFT_MS))
    version = await allocator.version(StoreNumber(1))
    assert hlc_of(version) > hlc_from_ms(NOW_MS + MAX_DRIFT_MS)
    assert await lives.durable_high_water(store) > hlc_of(version)


@pytest.mark.parametrize("back_ms", [0, 1, 400, 60_000, 10**9])
async def test_a_restart_with_the_clock_set_back_issues_no_version_again(
    lives: Lives, back_ms: int
) -> None:
    issued: list[Version] = []
    for _ in range(3):
        store, allocator = lives.begin()
        issued += [await allocator.version(StoreNumber(1)) for _ in range(20)]
        await store.close(clean=False)
        lives.clock.wall_ms -= back_ms
    assert issued == sorted(set(issued))


async def test_many_quick_restarts_carry_the_clock_no_further_than_one(lives: Lives) -> None:
    for _ in range(30):
        store, allocator = lives.begin()
        version = await allocator.version(StoreNumber(1))
        await store.close(clean=False)
    assert ms_of(hlc_of(version)) - NOW_MS < AHEAD_MS + 50


async def test_writes_do_not_wait_for_a_mark_that_is_moved_in_time(lives: Lives) -> None:
    store, allocator = lives.begin()
    await allocator.version(StoreNumber(1))
    lives.harness.gate.hold()
    lives.clock.wall_ms += AHEAD_MS - 100
    await allocator.version(StoreNumber(1))  # asks for the next high-water mark
    await lives.harness.gate.arrived()
    await allocator.version(StoreNumber(1))  # and does not wait for it
    lives.harness.gate.release()
    await store.close(clean=False)


async def test_a_disk_that_takes_no_mark_stops_the_stamps_and_tells_why(lives: Lives) -> None:
    store, allocator = lives.begin()
    lives.harness.gate.failures[1] = lmdb.MapFullError("full")
    with pytest.raises(StorageFullError):
        await allocator.version(StoreNumber(1))
    version = await allocator.version(StoreNumber(1))  # the next attempt may work
    assert await lives.durable_high_water(store) > hlc_of(version)


async def test_a_session_from_a_faster_clock_is_refused_and_moves_nothing(lives: Lives) -> None:
    store, allocator = lives.begin()
    before = allocator.now()
    with pytest.raises(ProblemError) as refused:
        allocator.observe_session(hlc_from_ms(NOW_MS + MAX_DRIFT_MS + 1))
    assert refused.value.code == "clock-skew"
    assert allocator.now() == before
    await store.close(clean=False)
