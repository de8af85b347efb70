"""Links of clients: none can harm the others or the node, and none outlives it."""

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import WSMsgType

from spine_node.http.link_frames import (
    CALLS_MAX,
    GO_AWAY,
    MESSAGE_BYTES_MAX,
    PART_BYTES,
    Answer,
    next_message,
)
from spine_node.http.messages import Response
from spine_node.http.request_context import RequestContext
from spine_node.http.router import Route
from spine_node.http.server import serve
from unit.http.harness import DEADLINE_S, MEMORIES, HttpHarness, a_moment, until
from unit.http.linked_client import Client, Part, linked, listening, no_links


@pytest.fixture
async def client(harness: HttpHarness) -> AsyncIterator[Client]:
    async with listening(harness) as server, linked(server) as client:
        yield client


def code_of(body: bytes) -> str:
    code: str = json.loads(body)["code"]
    return code


GARBAGE = [
    b"",
    b"\xc1",
    b"GET / HTTP/1.1",
    msgspec.msgpack.encode([[1, "GET"]]),
    msgspec.msgpack.encode([[1, "GET", "/v1/whoami", {}, "text"]]),
    msgspec.msgpack.encode([[1, "GET", "/v1/whoami", {}, b""]] * (CALLS_MAX + 1)),
]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_ends_its_link_and_no_other(
    harness: HttpHarness, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    caplog.set_level(logging.INFO)
    async with listening(harness) as server, linked(server) as good, linked(server) as bad:
        await bad.flow.send_bytes(garbage)
        assert await bad.closed_with() == aiohttp.WSCloseCode.PROTOCOL_ERROR
        assert (await good.ask("GET", "/v1/whoami"))[0] == 200
    assert [r.message for r in caplog.records].count("client_link_broken") == 1


async def test_text_is_garbage(client: Client) -> None:
    await client.flow.send_str("hello")
    assert await client.closed_with() == aiohttp.WSCloseCode.PROTOCOL_ERROR


async def test_a_message_too_large_ends_the_link_before_it_is_read(client: Client) -> None:
    await client.flow.send_bytes(b" " * MESSAGE_BYTES_MAX)
    assert await client.closed_with() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_a_link_reads_no_more_than_it_may_hold(harness: HttpHarness, client: Client) -> None:
    harness.engine.gate = asyncio.Event()
    body = msgspec.json.encode({"content": "x", "metadata": {"a": "y" * 60_000}})

    async def send() -> None:
        for first in range(0, 300, 15):  # 18 MB, more than the sockets take
            numbers = range(first, first + 15)
            await client.send(*((n, "PUT", f"{MEMORIES}/n-{n}", {}, body) for n in numbers))

    sending = asyncio.create_task(send())
    await until(lambda: harness.engine.writing * len(body) >= 8 * 1024 * 1024)
    await a_moment()
    assert harness.engine.writing < 155  # what passed the bound, and the rest of one message
    harness.engine.gate.set()
    answers: list[Part] = []
    while len(answers) < 300:
        answers += await client.receive()
    await sending
    assert {part[1] for part in answers} == {201}


async def test_a_link_has_so_many_calls_under_way_and_no_more(
    harness: HttpHarness, client: Client
) -> None:
    harness.engine.gate = asyncio.Event()
    for first in (0, 600, 1200):
        await client.send(
            *((n, "DELETE", f"{MEMORIES}/n", {}, b"") for n in range(first, first + 600))
        )
    await until(lambda: harness.engine.writing == 1200)  # two messages: the second passed the bound
    await a_moment()
    assert harness.engine.writing == 1200
    harness.engine.gate.set()
    answers: list[Part] = []
    while len(answers) < 1800:
        answers += await client.receive()
    assert len({part[0] for part in answers}) == 1800


def answer(call: int, size: int) -> Answer:
    return Answer(call, 200, {}, bytes([call]) * size)


def test_a_large_answer_lets_others_pass_between_its_parts() -> None:
    outbox = deque([answer(1, 2 * PART_BYTES + 5), answer(2, 3), answer(3, 4)])
    sent: list[Answer] = []
    order: list[list[int]] = []
    while message := next_message(outbox):
        order.append([part.call for part in message])
        sent += message
    assert order == [[1], [2, 3, 1], [1]]
    large = [part for part in sent if part.call == 1]
    assert b"".join(part.body for part in large) == b"\x01" * (2 * PART_BYTES + 5)
    assert [(part.status, part.more) for part in large] == [(200, True), (0, True), (0, False)]


async def test_a_large_answer_arrives_whole(harness: HttpHarness, client: Client) -> None:
    for n in range(10):
        await harness.ask("PUT", f"{MEMORIES}/n-{n}", {"content": "é" * 30_000})
    by_http = await harness.ask("GET", MEMORIES)
    assert len(by_http.body) > 2 * PART_BYTES
    assert (await client.ask("GET", MEMORIES))[2] == by_http.body


async def test_an_answer_in_parts_is_refused_and_its_source_closed() -> None:
    closed: list[bool] = []

    async def pieces() -> Any:
        try:
            yield b"x"
        finally:
            closed.append(True)

    async def stream(_context: RequestContext) -> Response:
        source = pieces()
        await anext(source)
        return Response(200, {}, source)

    route = Route(
        method="GET", path="/v1/stream", name="stream", handler=stream, streams=True, access="open"
    )
    async with listening(HttpHarness(more_routes=(route,))) as server, linked(server) as client:
        status, _headers, body = await client.ask("GET", "/v1/stream")
    assert (status, code_of(body)) == (400, "invalid-request")
    assert closed == [True]


async def test_the_calls_of_a_client_that_left_run_to_their_end(harness: HttpHarness) -> None:
    harness.engine.gate = asyncio.Event()
    async with listening(harness) as server:
        async with linked(server) as client:
            await client.send((1, "PUT", f"{MEMORIES}/n", {}, b'{"content":"x"}'))
            await until(lambda: harness.engine.writing == 1)
        await until(lambda: not server._connections.connections)
        harness.engine.gate.set()
        await until(lambda: not server._client_links.running)
        assert (await harness.ask("GET", f"{MEMORIES}/n")).status == 200


async def test_a_node_that_stops_says_so_and_answers_what_is_under_way(
    harness: HttpHarness,
) -> None:
    harness.engine.gate = asyncio.Event()
    server = await serve(harness.app, no_links, address=("127.0.0.1", 0), limit=harness.limit)
    async with linked(server) as client:
        await client.send((1, "PUT", f"{MEMORIES}/n", {}, b'{"content":"x"}'))
        await until(lambda: harness.engine.writing == 1)
        stopping = asyncio.create_task(server.close())
        assert await client.receive() == msgspec.msgpack.decode(GO_AWAY)
        await client.send((2, "GET", "/v1/whoami", {}, b""))  # was on its way
        assert [(part[0], part[1]) for part in await client.receive()] == [(2, 200)]
        harness.engine.gate.set()
        assert [(part[0], part[1]) for part in await client.receive()] == [(1, 201)]
        await client.flow.close()
        await stopping


async def test_a_client_that_stays_is_cut_after_the_grace_and_leaves_no_task(
    harness: HttpHarness,
) -> None:
    harness.engine.gate = asyncio.Event()
    server = await serve(harness.app, no_links, address=("127.0.0.1", 0), limit=harness.limit)
    async with linked(server) as client:
        await client.send((1, "PUT", f"{MEMORIES}/n", {}, b'{"content":"x"}'))
        await until(lambda: harness.engine.writing == 1)
        await asyncio.gather(server.close(grace_s=0.05), self_closing(client))
    assert (harness.engine.writing, server._client_links.running) == (0, set())


async def self_closing(client: Client) -> None:
    assert await client.receive() == []
    assert await client.closed_with() == aiohttp.WSCloseCode.GOING_AWAY


async def test_a_client_that_says_nothing_is_dropped(harness: HttpHarness) -> None:
    async with listening(harness, link_s=0.05) as server, linked(server) as client:
        async with asyncio.timeout(DEADLINE_S):
            assert (await client.flow.receive()).type in {WSMsgType.CLOSED, WSMsgType.ERROR}


async def test_a_ping_keeps_a_link(harness: HttpHarness) -> None:
    async with listening(harness, link_s=0.1) as server, linked(server) as client:
        receiving = asyncio.create_task(client.receive())
        for _ in range(60):  # 0.3 s
            await client.flow.ping()
            await a_moment()
        await client.send((1, "GET", "/v1/whoami", {}, b""))
        assert (await receiving)[0][1] == 200


async def test_an_idle_link_is_closed_for_another_connection_and_a_busy_one_is_not() -> None:
    harness = HttpHarness(connections_max=2)
    harness.engine.gate = asyncio.Event()
    async with listening(harness) as server, linked(server) as idle, linked(server) as busy:
        await busy.send((1, "PUT", f"{MEMORIES}/n", {}, b'{"content":"x"}'))
        await until(lambda: harness.engine.writing == 1)
        async with linked(server) as third:
            async with asyncio.timeout(DEADLINE_S):
                assert (await idle.flow.receive()).type is not WSMsgType.BINARY
            assert (await third.ask("GET", "/v1/whoami"))[0] == 200
        harness.engine.gate.set()
        assert (await busy.receive())[0][1] == 201
    assert harness.closed == ["idle"]
