"""A limit of connections: the ones idle longest are closed, in order, and somebody is told."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from spine_node.http.connection_limit import LOG_EVERY_S, TOLD_S, ConnectionLimit, maximum_of
from spine_node.http.server import HttpServer, serve
from unit.http.harness import DEADLINE_S, HttpHarness, until
from unit.http.test_streams import no_links

WHOAMI = b"GET /v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n"
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def ask(client: Client) -> None:
    """Ask and wait for the whole answer."""
    client[1].write(WHOAMI)
    async with asyncio.timeout(DEADLINE_S):
        assert b"200 OK" in await client[0].readuntil(b"\r\n\r\n")
        await client[0].readuntil(b"}")


async def is_closed(client: Client) -> bool:
    """Tell whether the node hangs up (or wait for ever)."""
    async with asyncio.timeout(DEADLINE_S):
        return await client[0].read() == b""


@pytest.fixture
async def clients() -> AsyncIterator[list[Client]]:
    opened: list[Client] = []
    yield opened
    for _reader, writer in opened:
        writer.close()


async def start(harness: HttpHarness) -> HttpServer:
    return await serve(harness.app, no_links, address=("127.0.0.1", 0), limit=harness.limit)


async def connect(server: HttpServer, clients: list[Client]) -> Client:
    client = await asyncio.open_connection("127.0.0.1", server.port)
    clients.append(client)
    return client


async def test_the_connection_idle_longest_is_closed_for_a_new_one(clients: list[Client]) -> None:
    harness = HttpHarness(connections_max=3)
    server = await start(harness)
    for _ in range(3):
        await ask(await connect(server, clients))
    await ask(clients[0])  # so the second is idle for longest
    await ask(await connect(server, clients))
    assert await is_closed(clients[1])
    for client in (clients[0], clients[2], clients[3]):
        await ask(client)
    assert harness.closed == ["idle"]
    await server.close(grace_s=0.05)


async def test_a_connection_that_works_is_never_closed_for_another(clients: list[Client]) -> None:
    harness = HttpHarness(connections_max=2)
    server = await start(harness)
    for _ in range(2):
        _reader, writer = await connect(server, clients)
        writer.write(b"PUT /v1/ns/a/memories/n HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n")
        writer.write(b"Content-Type: application/json\r\n\r\n")
    await until(lambda: harness.app.in_flight.count == 2)
    assert await is_closed(await connect(server, clients))
    assert harness.closed == ["refused"]
    for reader, writer in clients[:2]:
        writer.write(b'{"content":"x"}')
        async with asyncio.timeout(DEADLINE_S):
            assert b" 20" in await reader.readline()
    await server.close(grace_s=0.05)


async def test_the_probe_tells_of_a_shortage_and_stays_good(clients: list[Client]) -> None:
    harness = HttpHarness(connections_max=1)
    server = await start(harness)
    assert "reasons" not in (await harness.ask("GET", "/healthz/ready")).json
    await ask(await connect(server, clients))
    await ask(await connect(server, clients))
    answer = await harness.ask("GET", "/healthz/ready")
    assert (answer.status, answer.json["status"]) == (200, "ok")
    assert "more than 1 connections" in answer.json["reasons"][0]
    await server.close(grace_s=0.05)


def test_a_shortage_is_logged_now_and_then_and_counted_always(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    now, counted = [0.0], list[str]()
    limit = ConnectionLimit(10, lambda: now[0], counted.append)
    assert limit.shortage() is None
    for _ in range(100):
        limit.note(idle=2, refused=0)
    limit.note(idle=0, refused=1)
    assert len(caplog.records) == 1
    now[0] = LOG_EVERY_S
    limit.note(idle=1, refused=0)
    first, second = (vars(record) for record in caplog.records)
    assert (first["idle"], first["maximum"]) == (2, 10)
    assert (second["idle"], second["refused"]) == (199, 1)
    assert (counted.count("idle"), counted.count("refused")) == (201, 1)
    now[0] += TOLD_S
    assert limit.shortage() is not None
    now[0] += 1
    assert limit.shortage() is None


@pytest.mark.parametrize(("held", "excess"), [(0, 0), (128, 0), (129, 3), (200, 74)])
def test_some_more_go_than_must(held: int, excess: int) -> None:
    assert ConnectionLimit(128, lambda: 0.0, lambda _: None).excess(held) == excess


@pytest.mark.parametrize(
    ("descriptors", "connections"), [(64, 32), (128, 64), (1024, 896), (1 << 20, 60_000)]
)
def test_descriptors_are_kept_for_the_store_and_the_links(
    descriptors: int, connections: int
) -> None:
    assert maximum_of(descriptors) == connections
