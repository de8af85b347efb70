"""Answers of unknown length: sent as they come, never faster than they are read, always cleaned up."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from spine_node.http.connection import Timeouts
from spine_node.http.messages import Response, Stream
from spine_node.http.request_context import RequestContext
from spine_node.http.router import Route
from spine_node.http.server import HttpServer, serve
from unit.http.harness import DEADLINE_S, HttpHarness, a_moment, until

READER_S = 0.2
PIECE = b"x" * 65_536
REQUEST = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass
class Source:
    """A body that a test feeds, and what became of it."""

    pieces: asyncio.Queue[bytes | Exception | None] = field(default_factory=asyncio.Queue)
    endless: bool = False
    sent: int = 0
    closed: bool = False

    async def stream(self) -> Stream:
        try:
            while True:
                piece = PIECE if self.endless else await self.pieces.get()
                if piece is None:
                    return
                if isinstance(piece, Exception):
                    raise piece
                self.sent += 1
                yield piece
        finally:
            self.closed = True


@dataclass
class Streaming:
    """A node with one more route, whose answer is a stream."""

    server: HttpServer
    source: Source
    harness: HttpHarness

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Ask for the stream on a new connection; return it when the head of the answer is there."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port, limit=1024)
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"200 OK" in head
        assert b"Transfer-Encoding: chunked" in head
        return reader, writer


@pytest.fixture
async def streaming() -> AsyncIterator[Streaming]:
    source = Source()

    async def handler(_context: RequestContext) -> Response:
        return Response(200, {"Content-Type": "text/event-stream"}, source.stream())

    route = Route(
        method="GET", path="/stream", name="example", handler=handler, access="open", streams=True
    )
    harness = HttpHarness(more_routes=(route,))
    server = await serve(
        harness.app,
        no_links,
        address=("127.0.0.1", 0),
        limit=harness.limit,
        timeouts=Timeouts(reader_s=READER_S),
    )
    yield Streaming(server, source, harness)
    await server.close(grace_s=0.05)


async def no_links(_request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=404)


async def test_each_piece_is_there_before_the_next_one_is_made(streaming: Streaming) -> None:
    source = streaming.source
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{streaming.server.port}") as client,
        asyncio.timeout(DEADLINE_S),
    ):
        async with client.get("/stream") as answer:
            assert "Spine-Request-Id" in answer.headers
            for piece in (b"one", b"two"):
                source.pieces.put_nowait(piece)
                assert await answer.content.readany() == piece
            source.pieces.put_nowait(None)
            assert await answer.content.read() == b""
        assert source.closed
        async with client.get("/healthz/live") as next_one:  # on the same connection
            assert next_one.status == 200


async def test_a_client_that_leaves_ends_a_stream_that_has_nothing_to_say(
    streaming: Streaming, caplog: pytest.LogCaptureFixture
) -> None:
    _reader, writer = await streaming.connect()
    writer.transport.abort()
    await until(lambda: streaming.source.closed)
    assert caplog.messages == []


async def test_nothing_is_made_that_the_client_does_not_take(streaming: Streaming) -> None:
    """It stops at what fits the buffers of both machines, and the client is given up."""
    streaming.source.endless = True
    _reader, writer = await streaming.connect()
    await until(lambda: streaming.source.closed)
    assert streaming.source.sent * len(PIECE) < 64 * 1024 * 1024
    writer.close()


async def test_a_slow_reader_that_goes_on_reading_is_not_given_up(streaming: Streaming) -> None:
    streaming.source.endless = True
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)  # so that each read shows at once
    slow.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(slow, ("127.0.0.1", streaming.server.port))
    await loop.sock_sendall(slow, REQUEST)
    ends = loop.time() + 5 * READER_S
    while loop.time() < ends:
        assert await loop.sock_recv(slow, 8192)
        await a_moment()
    assert not streaming.source.closed
    slow.close()
    await until(lambda: streaming.source.closed)


async def test_a_stream_that_fails_does_not_look_complete(streaming: Streaming) -> None:
    reader, writer = await streaming.connect()
    streaming.source.pieces.put_nowait(b"one")
    streaming.source.pieces.put_nowait(ZeroDivisionError("a bug"))
    received = b""
    async with asyncio.timeout(DEADLINE_S):
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(1024):
                received += piece
    assert b"0\r\n\r\n" not in received
    assert b"HTTP/1.1" not in received
    writer.close()


async def test_head_of_a_stream_takes_nothing_from_it(streaming: Streaming) -> None:
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{streaming.server.port}") as client,
        client.head("/stream") as head,
    ):
        assert (head.status, head.headers["Content-Type"]) == (200, "text/event-stream")
    await until(lambda: streaming.source.closed or streaming.source.sent == 0)
    assert streaming.source.sent == 0


async def test_a_stopping_node_closes_its_streams(streaming: Streaming) -> None:
    _reader, writer = await streaming.connect()
    streaming.source.pieces.put_nowait(b"one")
    await until(lambda: streaming.source.sent == 1)
    await streaming.server.close(grace_s=0.05)
    assert streaming.source.closed
    writer.close()
