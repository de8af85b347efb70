"""A watcher on real processes, through a killed node and a scale-up: what it has seen is what is listed."""

import asyncio
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from agents.clock import until
from cluster.nodes import StaticCluster, running
from cluster.test_topology_apply import topology
from memory_spine import AsyncSpine

SEATS = ("spine-1", "spine-2", "spine-3")
FOURTH = "spine-4"
WRITES = 150  # in each of three parts


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[StaticCluster]:
    zones = list(zip((*SEATS, FOURTH), "abcd", strict=True))
    yield from running(StaticCluster(tmp_path, zones))


async def test_a_watcher_sees_all_that_is_listed_through_a_kill_and_a_scale_up(
    cluster: StaticCluster,
) -> None:
    cluster.describe(SEATS)
    cluster.start(*SEATS)
    await cluster.ready(*SEATS)
    urls = list(cluster.urls(SEATS).values())
    seen: dict[str, str] = {}
    async with AsyncSpine(urls, namespace="watched") as watcher:
        watching = asyncio.create_task(_watch(watcher, seen))
        async with AsyncSpine(urls, namespace="watched") as writer:
            await _write(writer, 0)
            assert cluster.nodes["spine-2"].kill() == -signal.SIGKILL
            await _write(writer, 1)
            cluster.start("spine-2")
            await cluster.ready("spine-2")
            cluster.describe((*SEATS, FOURTH))
            cluster.start(FOURTH)
            await until("spine-4 shows its empty store", partial(_reports, cluster))
            await asyncio.gather(topology(cluster, "apply"), _write(writer, 2))
            strong = writer.with_options(consistency="strong")
            listed = {each.id: each.version async for each in strong.memories.list(page_size=500)}
            assert len(listed) == 3 * WRITES
            await until("the watcher has seen it all", partial(_same, seen, listed))
        watching.cancel()


async def _watch(spine: AsyncSpine, seen: dict[str, str]) -> None:
    async for event in spine.watch(since="beginning"):
        assert event.id is not None
        assert event.version is not None
        assert event.id not in seen or seen[event.id] <= event.version, "a version went back"
        seen[event.id] = event.version


async def _write(spine: AsyncSpine, part: int) -> None:
    for number in range(WRITES):
        await spine.memories.put(f"m-{part}-{number}", "x")
        await spine.memories.put(f"m-0-{number}", f"again {part}")


async def _reports(cluster: StaticCluster) -> bool:
    try:
        return bool((await cluster.status(FOURTH))["store"]["id"])
    except aiohttp.ClientError:
        return False


async def _same(seen: dict[str, str], listed: dict[str, str]) -> bool:
    return seen == listed
