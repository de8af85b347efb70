"""A port with certificates: TLS goes on, plain HTTP is told why it does not, silence is bounded."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from localkube.pki import Pki
from spine_node.http.connection import Timeouts
from spine_node.http.server import HttpServer, serve
from spine_node.links.tls import TlsContexts
from unit.http.harness import DEADLINE_S, MEMORIES, HttpHarness, until
from unit.http.test_streams import no_links

MAXIMUM = 3


@dataclass
class Secured:
    """A listening node with a certificate, and what its clients trust."""

    harness: HttpHarness
    server: HttpServer
    trust: ssl.SSLContext

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection and say nothing."""
        return await asyncio.open_connection("127.0.0.1", self.server.port)


async def start(harness: HttpHarness, tls: TlsContexts, head_s: float = DEADLINE_S) -> HttpServer:
    return await serve(
        harness.app,
        no_links,
        address=("127.0.0.1", 0),
        limit=harness.limit,
        tls=tls.server,
        timeouts=Timeouts(head_s=head_s),
    )


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsContexts:
    pki = Pki(tmp_path_factory.mktemp("node") / "tls")
    pki.create()
    pki.issue("tls", "node", addresses=["127.0.0.1"])
    return TlsContexts.load(pki.directory)


@pytest.fixture
async def secured(tls: TlsContexts) -> AsyncIterator[Secured]:
    harness = HttpHarness(connections_max=MAXIMUM)
    server = await start(harness, tls)
    yield Secured(harness, server, tls.client)
    await server.close(grace_s=0.05)


async def test_https_is_served(secured: Secured) -> None:
    url = f"https://127.0.0.1:{secured.server.port}"
    async with aiohttp.ClientSession(url) as client:
        path = f"{MEMORIES}/n"
        async with client.put(path, json={"content": "x"}, ssl=secured.trust) as put:
            assert put.status == 201
        async with client.get(path, ssl=secured.trust) as got:
            assert (await got.json())["content"] == "x"


async def test_plain_http_is_told_that_the_port_speaks_https(secured: Secured) -> None:
    reader, writer = await secured.connect()
    body = b'{"content":"x"}'
    head = f"PUT {MEMORIES}/n HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
    async with asyncio.timeout(DEADLINE_S):
        answer = await reader.read()  # to the end: it hangs up
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert "this port speaks https" in problem["detail"]
    assert problem["request_id"] != "-"
    assert secured.harness.engine.seen == []


async def test_a_broken_handshake_ends_its_connection_alone(secured: Secured) -> None:
    reader, writer = await secured.connect()
    writer.write(b"\x16\x03\x01\x00\x05nonsense")
    async with asyncio.timeout(DEADLINE_S):
        await reader.read()
    writer.close()
    await test_https_is_served(secured)


async def test_a_connection_that_says_nothing_is_closed(tls: TlsContexts) -> None:
    harness = HttpHarness()
    server = await start(harness, tls, head_s=0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(DEADLINE_S):
        assert await reader.read() == b""
    writer.close()
    await server.close(grace_s=0.05)


async def test_connections_that_say_nothing_are_limited_too(secured: Secured) -> None:
    silent = [await secured.connect() for _ in range(MAXIMUM + 1)]
    async with asyncio.timeout(DEADLINE_S):
        assert await silent[0][0].read() == b""
    await until(lambda: secured.harness.closed == ["refused"])
    for _reader, writer in silent:
        writer.close()


async def test_a_stopping_node_leaves_no_silent_connection(tls: TlsContexts) -> None:
    harness = HttpHarness()
    server = await start(harness, tls)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await server.close(grace_s=0.05)
    async with asyncio.timeout(DEADLINE_S):
        assert await reader.read() == b""
    writer.close()
