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


async def _done(writers: list[Writer], count: int) -> bool:
    return sum(writer.done for writer in writers) >= count
