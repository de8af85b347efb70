"""Watch through a socket: events as they come, silence, slow clients, and every way in which it ends."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import msgspec
import pytest

from spine_core.api_keys import Scope
from spine_core.errors import ProblemError
from spine_node.http import limits
from spine_node.http.event_buffer import WatchTimes
from spine_node.http.server import HttpServer
from spine_node.ports import Changes
from unit.http.harness import DEADLINE_S, HttpHarness, Keyring, day, until
from unit.http.memory_watch import FIRST_CURSOR, MemoryWatch
from unit.http.test_server import listen
from unit.http.test_watch import KEPT, NS, WATCH, put

QUICK = WatchTimes(keep_alive_s=0.05, lagging_s=0.05, check_s=0.02)


@dataclass
class Block:
    """One event as a client reads it."""

    id: str | None = None
    event: str | None = None
    comment: str | None = None
    data: dict[str, object] = field(default_factory=dict)


@dataclass
class Reading:
    """A client that has opened a watch."""

    harness: HttpHarness
    server: HttpServer
    response: aiohttp.ClientResponse

    @property
    def watch(self) -> MemoryWatch:
        return self.harness.engine.watches[-1]

    def give(self, *changes: Changes | ProblemError) -> None:
        for one in changes:
            self.watch.waiting.put_nowait(one)

    async def block(self) -> Block:
        """Return the next event or comment."""
        text = await self.response.content.readuntil(b"\n\n")
        found = Block()
        for line in text.decode().rstrip().splitlines():
            name, _, value = line.partition(": ")
            if name == "":
                found.comment = value
            elif name == "data":
                found.data = json.loads(value)
            elif name:
                setattr_of[name](found, value)
        return found

    async def event(self) -> Block:
        """Return the next event."""
        while (block := await self.block()).event is None:
            pass
        return block

    async def rest(self) -> bytes:
        """Read to the end."""
        return await self.response.content.read()


def _id(block: Block, value: str) -> None:
    block.id = value


def _event(block: Block, value: str) -> None:
    block.event = value


setattr_of: dict[str, Callable[[Block, str], None]] = {"id": _id, "event": _event}


@asynccontextmanager
async def reading(
    harness: HttpHarness, *, key: str = "", query: str = "", grace_s: float = 0.05
) -> AsyncIterator[Reading]:
    """Open a watch; at the end everything must have been given back."""
    server = await listen(harness)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        asyncio.timeout(DEADLINE_S),
        aiohttp.ClientSession(f"http://127.0.0.1:{server.port}", read_bufsize=1 << 16) as client,
        client.get(WATCH + query, headers=headers) as response,
    ):
        assert response.status == 200, await response.read()
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        try:
            yield Reading(harness, server, response)
        finally:
            response.close()
            await server.close(grace_s=grace_s)
    assert all(watch.closed for watch in harness.engine.watches)
    assert not harness.limit_of_watches._open


@pytest.fixture
def quick() -> HttpHarness:
    return HttpHarness(watch_times=QUICK)


async def test_events_come_with_their_cursors(harness: HttpHarness) -> None:
    async with reading(harness, query="?include=memory") as client:
        client.give(Changes(events=[put(1), put(2)], cursor="after"))
        for number in (1, 2):
            block = await client.block()
            assert (block.id, block.event) == (f"cursor-{number}", "put")
            assert block.data["id"] == f"k{number}"
            assert block.data["memory"]
        await until(lambda: len(client.watch.asked) == 2)


async def test_json_with_line_ends_is_one_line(harness: HttpHarness) -> None:
    kept = KEPT.replace(b'"metadata":{}', b'"metadata":{\r\n"a":"b\\n"}')
    async with reading(harness, query="?include=memory") as client:
        client.give(Changes(events=[put(1, kept)], cursor="after"))
        memory = (await client.event()).data["memory"]
        assert isinstance(memory, dict)
        assert memory["metadata"] == {"a": "b\n"}


async def test_silence_is_a_comment_that_moves_the_cursor_on(quick: HttpHarness) -> None:
    async with reading(quick) as client:
        block = await client.block()
        assert (block.comment, block.event, block.data) == ("keep-alive", None, {})
        client.give(Changes(cursor="quiet-so-far"))
        while block.id != "quiet-so-far":
            block = await client.block()
            assert block.comment == "keep-alive"


async def test_a_reset_has_a_fresh_cursor_and_the_watch_goes_on(harness: HttpHarness) -> None:
    async with reading(harness) as client:
        client.give(Changes(cursor="fresh", reset=True), Changes(events=[put(3)], cursor="after"))
        block = await client.event()
        assert (block.id, block.event) == ("fresh", "reset")
        assert block.data == {"type": "reset", "namespace": NS, "reason": "cursor-expired"}
        assert (await client.event()).id == "cursor-3"


def large(number: int) -> Changes:
    """Return an event of some 64 KiB."""
    kept = KEPT.replace(b'"c"', b'"%b"' % (b"x" * limits.CONTENT_BYTES_MAX))
    return Changes(events=[put(number, kept)], cursor=f"cursor-{number}")


async def test_a_client_that_takes_nothing_is_told_and_let_go(quick: HttpHarness) -> None:
    async with reading(quick, query="?include=memory") as client:
        for number in range(1, 1000):
            client.give(large(number))
        await until(lambda: client.watch.waiting.qsize() < 999)
        left = await stands_still(client)
        assert left > 0, "the feed keeps what does not fit"
        blocks = (await client.rest()).decode().split("\n\n")
        assert "event: lagging" in blocks[-2]
        assert "id: " not in blocks[-2], "the client goes on behind what it has got"
        assert len(blocks) < 1000 - left


async def stands_still(client: Reading) -> int:
    """Wait until nothing more is taken out of the watch; return what is left in it."""
    left = -1
    while left != client.watch.waiting.qsize():
        left = client.watch.waiting.qsize()
        await asyncio.wait({asyncio.create_task(asyncio.Event().wait())}, timeout=0.1)
    return left


async def test_a_client_that_reads_slowly_is_only_behind(quick: HttpHarness) -> None:
    count = 200
    async with reading(quick, query="?include=memory") as client:
        for number in range(1, count + 1):
            client.give(large(number))
        client.give(Changes(cursor="last", ended=True))
        seen = [(await client.event()).id for _ in range(count)]
        assert seen == [f"cursor-{number}" for number in range(1, count + 1)]


async def test_a_watch_that_ends_ends_the_stream_cleanly(harness: HttpHarness) -> None:
    async with reading(harness) as client:
        client.give(Changes(events=[put(1)], cursor="after", ended=True))
        assert (await client.event()).id == "cursor-1"
        assert await client.rest() == b""
    async with reading(harness) as client:
        client.give(ProblemError("not-ready", "this node is gone"))
        assert await client.rest() == b""


async def test_a_client_that_leaves_gives_everything_back(harness: HttpHarness) -> None:
    async with reading(harness) as client:
        client.response.close()
        await until(lambda: client.watch.closed)


async def test_a_stopping_node_ends_its_watches(harness: HttpHarness) -> None:
    async with reading(harness) as client:
        await client.server.close(grace_s=0.05)
        await until(lambda: client.watch.closed)


async def test_a_key_that_is_taken_away_ends_its_watches(keyring: Keyring) -> None:
    key = keyring.add([Scope.READ], ["acme"])
    harness = HttpHarness(keyring.file, watch_times=QUICK)
    async with reading(harness, key=key) as client:
        assert (await client.block()).comment == "keep-alive"
        keyring.entries.clear()
        keyring.add([Scope.READ], ["other"])
        os.utime(keyring.file, ns=(1, 1))
        harness.credentials.refresh()
        assert b"event: " not in await client.rest()


async def test_a_key_that_expires_ends_its_watches(keyring: Keyring) -> None:
    key = keyring.add([Scope.READ], ["acme"], not_after=day(2027))
    harness = HttpHarness(keyring.file, watch_times=QUICK)
    harness.clock.ms = int(day(2027).timestamp() * 1000) - 1
    async with reading(harness, key=key) as client:
        assert (await client.block()).id in {None, FIRST_CURSOR}
        harness.clock.ms += 1
        assert b"event: " not in await client.rest()


async def test_a_bug_does_not_look_like_an_end(harness: HttpHarness) -> None:
    async with reading(harness) as client:
        broken = msgspec.structs.replace(put(), record=put().record._replace(body=b"?"))  # type: ignore[union-attr]
        client.give(Changes(events=[msgspec.structs.replace(broken, kind="lease")], cursor="x"))
        with pytest.raises(aiohttp.ClientError):
            await client.rest()
