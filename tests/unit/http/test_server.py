"""The socket: what a client can do to a connection, and what it gets for it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from spine_node.http.connection import Timeouts
from spine_node.http.server import HttpServer, serve
from unit.http.harness import DEADLINE_S, MEMORIES, HttpHarness, until

PUT = f"PUT {MEMORIES}/n HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def link(request: web.BaseRequest) -> web.StreamResponse:
    """Echo one message, as a link would."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    message = await socket.receive()
    await socket.send_bytes(message.data)
    await socket.close()
    return socket


async def listen(harness: HttpHarness, **timeouts: float) -> HttpServer:
    """Put an app behind a socket."""
    return await serve(
        harness.app,
        link,
        address=("127.0.0.1", 0),
        limit=harness.limit,
        timeouts=Timeouts(**timeouts),
    )


@dataclass
class Listening:
    """An app behind a socket."""

    harness: HttpHarness
    server: HttpServer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def send(self, *pieces: bytes, end: bool = False) -> tuple[int, bytes]:
        """Send raw bytes on a new connection; return the status and all that came back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if end:
                writer.write_eof()
            async with asyncio.timeout(DEADLINE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
                body = await reader.readexactly(length)
        finally:
            writer.close()
        return int(head.split()[1]), body


@pytest.fixture
async def listening() -> AsyncIterator[Listening]:
    harness = HttpHarness()
    server = await listen(harness)
    yield Listening(harness, server)
    await server.close(grace_s=0.05)  # some clients here never send what they promised


def framed(body: bytes, extra: str = "") -> bytes:
    return f"{PUT}Content-Length: {len(body)}\r\n{extra}\r\n".encode() + body


async def test_a_memory_goes_in_and_comes_out(listening: Listening) -> None:
    async with aiohttp.ClientSession(listening.url) as client:
        async with client.put(f"{MEMORIES}/p~n", json={"content": "é"}) as put:
            assert (put.status, put.headers["Content-Type"]) == (201, "application/json")
            assert put.headers["Server"] == "memory-spine"
            etag = put.headers["ETag"]
        async with client.get(f"{MEMORIES}/p~n") as got:
            assert (await got.json())["content"] == "é"
        async with client.get(f"{MEMORIES}/p~n", headers={"If-None-Match": etag}) as known:
            assert (known.status, await known.read()) == (304, b"")
        async with client.delete(f"{MEMORIES}/p~n") as deleted:
            assert (deleted.status, await deleted.read()) == (204, b"")
            assert "Content-Type" not in deleted.headers


@pytest.mark.parametrize(
    "path", [f"{MEMORIES}/n", f"{MEMORIES}/never", MEMORIES, "/v1/whoami", "/healthz/live", "/no"]
)
async def test_head_answers_as_get_without_the_body(listening: Listening, path: str) -> None:
    varying = {"Date", "Spine-Request-Id"}
    async with aiohttp.ClientSession(listening.url) as client:
        await client.put(f"{MEMORIES}/n", json={"content": "é"})
        async with client.get(path) as got, client.head(path) as head:
            assert head.status == got.status
            assert [
                (name, value) for name, value in head.headers.items() if name not in varying
            ] == [(name, value) for name, value in got.headers.items() if name not in varying]
            assert int(head.headers["Content-Length"]) == len(await got.read()) > 0
        async with client.head(f"{MEMORIES}/n") as first:  # the connection is still good
            known = {"If-None-Match": first.headers["ETag"]}
        async with client.head(f"{MEMORIES}/n", headers=known) as again:
            assert again.status == 304


async def test_a_body_in_chunks_is_one_body(listening: Listening) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for piece in (b'{"con', b'tent":', b'"x"}'):
            yield piece

    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(listening.url) as client,
        client.put(f"{MEMORIES}/n", data=chunks(), headers=headers) as put,
    ):
        assert (await put.json())["content"] == "x"


async def test_a_body_too_large_is_refused_before_it_is_read(listening: Listening) -> None:
    status, body = await listening.send(f"{PUT}Content-Length: 1048577\r\n\r\n".encode())
    assert (status, json.loads(body)["code"]) == (413, "too-large")


async def test_chunks_are_counted_while_they_come(listening: Listening) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    head = f"{PUT}Transfer-Encoding: chunked\r\n\r\n".encode()
    status, body = await listening.send(head, *[chunk] * 17)  # never ends
    assert (status, json.loads(body)["code"]) == (413, "too-large")


async def test_a_body_that_does_not_come_in_time_is_504_and_not_applied(
    listening: Listening,
) -> None:
    head = f"{PUT}Content-Length: 20\r\nSpine-Timeout-Ms: 50\r\n\r\n".encode()
    status, body = await listening.send(head, b'{"content"')
    problem = json.loads(body)
    assert (status, problem["code"], problem["outcome"]) == (
        504,
        "deadline-exceeded",
        "not-applied",
    )
    assert listening.harness.engine.seen == []


async def test_a_client_that_expects_100_is_asked_for_the_body(listening: Listening) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listening.server.port)
    writer.write(f"{PUT}Content-Length: 15\r\nExpect: 100-continue\r\n\r\n".encode())
    async with asyncio.timeout(DEADLINE_S):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b'{"content":"x"}')
        assert (await reader.readline()).startswith(b"HTTP/1.1 201")
    writer.close()


async def test_a_refused_client_is_not_asked_for_the_body(listening: Listening) -> None:
    head = PUT.replace("application/json", "text/plain")
    head += "Content-Length: 15\r\nExpect: 100-continue\r\n\r\n"
    status, _ = await listening.send(head.encode())
    assert status == 415


LONG = "a long filter with POST to …/memories:query"


@pytest.mark.parametrize(
    ("garbage", "detail"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", LONG),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", "more than 8192 bytes"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", "more than 128 headers"),
        (b"NONSENSE / HTTP/1.1\r\nHost: x\r\n\r\n", "no method of HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "the client speaks https"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "no valid HTTP"),
    ],
)
async def test_what_never_became_a_request_is_told_why_under_an_id(
    listening: Listening, caplog: pytest.LogCaptureFixture, garbage: bytes, detail: str
) -> None:
    caplog.set_level(logging.INFO)
    _status, body = await listening.send(garbage)
    problem = json.loads(body)
    assert detail in problem["detail"]
    assert problem["outcome"] == "not-applied"  # for all that anybody knows it was a write
    logged = [vars(record)["request_id"] for record in caplog.records]
    assert [problem["request_id"]] == logged


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        PUT.encode() + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_with_a_problem(
    listening: Listening, garbage: bytes
) -> None:
    status, body = await listening.send(garbage)
    assert (status, json.loads(body)["code"]) == (400, "invalid-request")


async def test_bad_chunks_are_400(listening: Listening) -> None:
    head = f"{PUT}Transfer-Encoding: chunked\r\n\r\n".encode()
    status, _ = await listening.send(head, b"zz\r\n")
    assert status == 400


async def test_bad_chunks_end_the_wait_for_the_rest(listening: Listening) -> None:
    head = f"{PUT}Spine-Timeout-Ms: 30000\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", listening.server.port)
    writer.write(head + b'3\r\n{"c\r\n')
    await until(lambda: listening.harness.app.in_flight.count == 1)
    writer.write(b"zz\r\n")
    async with asyncio.timeout(DEADLINE_S):
        answer = await reader.read()  # and the connection is closed
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"framed wrongly" in answer
    assert listening.harness.engine.seen == []


async def test_a_client_that_leaves_harms_nobody(
    listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", listening.server.port)
    writer.write(f"{PUT}Content-Length: 20\r\n\r\n".encode())
    await writer.drain()
    await until(lambda: listening.harness.app.in_flight.count == 1)
    writer.transport.abort()
    await until(lambda: listening.harness.app.in_flight.count == 0)
    assert listening.harness.engine.seen == []
    assert caplog.messages == []
    status, _ = await listening.send(framed(b'{"content":"x"}'))
    assert status == 201


@pytest.mark.parametrize("said", [b"", b"GET /v1/whoami HTTP/1.1\r\nHost: x\r\n"])
async def test_a_connection_that_asks_for_nothing_is_closed(said: bytes) -> None:
    server = await listen(HttpHarness(), head_s=0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(said)
    async with asyncio.timeout(DEADLINE_S):
        assert await reader.read() == b""
    writer.close()
    await server.close()


async def test_a_connection_that_has_asked_stays_open() -> None:
    server = await listen(HttpHarness(), head_s=0.2)
    whoami = b"GET /v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(DEADLINE_S):
        for _ in range(2):
            writer.write(whoami)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await reader.readuntil(b"}")
            await idle.read()  # until the time is over
    writer.close()
    idle_writer.close()
    await server.close(grace_s=0.05)


async def test_links_go_to_their_own_handler(listening: Listening) -> None:
    async with (
        aiohttp.ClientSession(listening.url) as client,
        client.ws_connect("/node/v1/link") as socket,
    ):
        await socket.send_bytes(b"frame")
        assert (await socket.receive_bytes()) == b"frame"


async def test_a_stopping_node_finishes_what_it_began(listening: Listening) -> None:
    engine = listening.harness.engine
    engine.gate = asyncio.Event()
    sending = asyncio.create_task(listening.send(framed(b'{"content":"x"}')))
    await until(lambda: engine.writing == 1)
    closing = asyncio.create_task(listening.server.close())
    await asyncio.wait([closing], timeout=0.01)
    assert not closing.done()
    engine.gate.set()
    assert (await sending)[0] == 201
    await closing
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", listening.server.port)
