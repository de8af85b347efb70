"""Concurrent conditional updates through all nodes, one of which is killed: all that count are kept."""

import asyncio
import json
import signal
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agents.clock import pause, until
from cluster.nodes import StaticCluster, running
from memory_spine import AsyncSpine, Draft, Memory
from memory_spine.errors import FenceRequired, FenceStale

SEATS = ("spine-1", "spine-2", "spine-3")
WRITERS, INCREMENTS = 8, 25
PATH = "/v1/ns/race/memories/counter"


@pytest.fixture
def three(tmp_path: Path) -> Iterator[StaticCluster]:
    yield from running(StaticCluster(tmp_path, list(zip(SEATS, "abc", strict=True))))


class Writer:
    """Adds one to a counter again and again, by raw `If-Match`; any node will do."""

    def __init__(self, number: int, urls: Mapping[str, str]) -> None:
        self.name = f"w{number}"
        self._urls, self._turn = list(urls.values()), number
        self.done = 0

    async def run(self) -> None:
        """Make all increments, each until it is certain."""
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while self.done < INCREMENTS:
                await self._increment(http)

    async def _increment(self, http: aiohttp.ClientSession) -> None:
        """Read, and write on condition that nobody else has; what became of it is seen by reading."""
        status, etag, memory = await self._ask(http, "GET", {"Spine-Consistency": "strong"})
        if status not in (200, 404):
            await pause(0.05)
            return
        counts: dict[str, int] = {} if memory is None else memory["metadata"]
        self.done = counts.get(self.name, 0)
        if self.done == INCREMENTS:
            return
        counts = {**counts, self.name: self.done + 1, "all": counts.get("all", 0) + 1}
        condition = {"If-None-Match": "*"} if etag is None else {"If-Match": etag}
        body = {"content": "a counter", "metadata": counts}
        await self._ask(http, "PUT", {**condition, "Content-Type": "application/json"}, body)

    async def _ask(
        self, http: aiohttp.ClientSession, method: str, headers: dict[str, str], body: Any = None
    ) -> tuple[int, str | None, Any]:
        self._turn += 1
        url = self._urls[self._turn % len(self._urls)] + PATH
        data = None if body is None else json.dumps(body)
        try:
            async with http.request(method, url, headers=headers, data=data) as answer:
                found = await answer.json() if answer.status == 200 else None
                return answer.status, answer.headers.get("ETag"), found
        except (aiohttp.ClientError, TimeoutError):
            return 0, None, None


async def test_of_200_concurrent_updates_200_are_kept_though_a_node_is_killed(
    three: StaticCluster,
) -> None:
    three.start(*SEATS)
    await three.ready(*SEATS)
    writers = [Writer(number, three.urls(SEATS)) for number in range(WRITERS)]
    work = asyncio.gather(*(writer.run() for writer in writers))
    await until("half is done", partial(_done, writers, WRITERS * INCREMENTS // 2))
    assert three.nodes["spine-2"].kill() == -signal.SIGKILL
    await until("work goes on", partial(_done, writers, WRITERS * INCREMENTS * 3 // 4))
    three.start("spine-2")
    await work
    await three.ready(*SEATS)
    async with aiohttp.ClientSession() as http:
        for url in three.urls(SEATS).values():
            strong = {"Spine-Consistency": "strong"}
            async with http.get(url + PATH, headers=strong) as answer:
                counts = (await answer.json())["metadata"]
            assert counts == {
                "all": WRITERS * INCREMENTS,
                **{writer.name: INCREMENTS for writer in writers},
            }


async def test_mutate_keeps_200_of_200_though_a_node_is_killed(three: StaticCluster) -> None:
    three.start(*SEATS)
    await three.ready(*SEATS)
    urls = list(three.urls(SEATS).values())
    done = [0] * WRITERS

    def one_more(current: Memory | None) -> Draft:
        count = 0 if current is None else current.metadata["n"]
        return Draft(content="a counter", metadata={"n": count + 1})

    async def work(number: int) -> None:
        turned = urls[number % 3 :] + urls[: number % 3]
        async with AsyncSpine(turned, namespace="race") as spine:
            for _ in range(INCREMENTS):
                await spine.memories.mutate("mutated", one_more, timeout=60)
                done[number] += 1

    working = asyncio.gather(*map(work, range(WRITERS)))
    await until("half is done", partial(_counted, done, WRITERS * INCREMENTS // 2))
    assert three.nodes["spine-2"].kill() == -signal.SIGKILL
    await until("work goes on", partial(_counted, done, WRITERS * INCREMENTS * 3 // 4))
    three.start("spine-2")
    await working
    async with AsyncSpine(urls, namespace="race", consistency="strong") as spine:
        assert (await spine.memories.get("mutated")).metadata == {"n": WRITERS * INCREMENTS}


async def test_a_holder_that_was_paused_writes_nothing_once_its_lease_has_moved(
    three: StaticCluster,
) -> None:
    three.start(*SEATS)
    await three.ready(*SEATS)
    urls = list(three.urls(SEATS).values())
    async with AsyncSpine(urls, namespace="race") as one, AsyncSpine(urls, namespace="race") as two:
        paused = await one.leases.acquire("deploy", ttl=1.0, holder="one", guards=["release"])
        await one.memories.put("release", "by one", fence=paused)
        later = await two.leases.acquire(
            "deploy", ttl=30.0, wait=20.0, holder="two", guards=["release"]
        )
        assert later.fence > paused.fence
        number = paused.fence
        for _ in range(10):
            with pytest.raises(FenceStale):
                await one.memories.put("release", "late", fence=f"deploy={number}")
        with pytest.raises(FenceRequired):
            await one.memories.put("release", "late, without a fence")
        assert (await two.memories.get("release")).content == "by one"
        await two.memories.put("release", "by two", fence=later)
        await later.release()


async def _counted(done: list[int], count: int) -> bool:
    return sum(done) >= count


async def _done(writers: list[Writer], count: int) -> bool:
    return sum(writer.done for writer in writers) >= count
