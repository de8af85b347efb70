"""Requests of one connection: in order, one after the other, each framed so that no byte is read twice."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from spine_node.http.connection import Timeouts
from spine_node.http.messages import Response
from spine_node.http.request_context import RequestContext
from spine_node.http.router import Route
from spine_node.http.server import serve
from unit.http.harness import DEADLINE_S, MEMORIES, HttpHarness, until
from unit.http.test_streams import no_links

READER_S = 0.2
LARGE = 60_000  # bytes of a memory, so that answers fill the buffers of both machines


async def split(_context: RequestContext) -> Response:
    """Answer with a header that would begin another answer."""
    return Response(200, {"X-Name": "a\r\nX-Injected: b"}, b"x")


@dataclass
class Client:
    """One connection to a node."""

    harness: HttpHarness
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self, *, bodiless: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: status, headers in lower case, body."""
        async with asyncio.timeout(DEADLINE_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            start, *lines = head.strip().split("\r\n")
            assert start.startswith("HTTP/1."), "no byte of another answer stands before it"
            headers = dict(line.lower().split(": ", 1) for line in lines)
            length = 0 if bodiless else int(headers.get("content-length", 0))
            return int(start.split()[1]), headers, await self.reader.readexactly(length)

    async def is_closed(self) -> bool:
        """Whether the node hangs up, and says nothing more."""
        async with asyncio.timeout(DEADLINE_S):
            return await self.reader.read() == b""

    def ask(
        self, method: str, path: str, *lines: str, body: bytes = b"", version: str = "1.1"
    ) -> None:
        """Send a request."""
        head = (
            f"{method} {path} HTTP/{version}",
            "Host: x",
            f"Content-Length: {len(body)}",
            *lines,
        )
        self.writer.write("\r\n".join((*head, "", "")).encode() + body)

    def put(self, name: str, content: str = "x") -> None:
        """Send a memory."""
        body = f'{{"content":"{content}"}}'.encode()
        self.ask("PUT", f"{MEMORIES}/{name}", "Content-Type: application/json", body=body)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    route = Route(method="GET", path="/split", name="example", handler=split, access="open")
    harness = HttpHarness(more_routes=(route,))
    server = await serve(
        harness.app,
        no_links,
        address=("127.0.0.1", 0),
        limit=harness.limit,
        timeouts=Timeouts(reader_s=READER_S),
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    yield Client(harness, reader, writer)
    writer.close()
    await server.close(grace_s=0.05)


async def test_requests_that_came_together_are_answered_in_order(client: Client) -> None:
    client.put("a")
    client.ask("GET", f"{MEMORIES}/a")
    client.ask("HEAD", f"{MEMORIES}/a")
    client.ask("DELETE", f"{MEMORIES}/a")
    client.ask("GET", f"{MEMORIES}/a", "Connection: close")
    found = [await client.answer(bodiless=i == 2) for i in range(5)]
    assert [status for status, _headers, _body in found] == [201, 200, 200, 204, 410]
    assert [headers.get("connection") for _status, headers, _body in found] == [None] * 4 + [
        "close"
    ]
    assert found[1][2] == found[0][2]
    assert found[2][1]["content-length"] == str(len(found[1][2]))
    assert "content-length" not in found[3][1]
    assert await client.is_closed()
    assert len(client.harness.engine.seen) == 5


async def test_every_answer_names_its_time_its_server_and_its_length(client: Client) -> None:
    client.ask("GET", "/v1/whoami")
    _status, headers, body = await client.answer()
    assert headers["date"].endswith("gmt")
    assert headers["server"] == "memory-spine"
    assert headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    ("version", "asked", "said"),
    [("1.0", "keep-alive", "keep-alive"), ("1.1", "keep-alive", None), ("1.1", "x", None)],
)
async def test_a_connection_that_may_stay_open_says_so_as_its_version_has_it(
    client: Client, version: str, asked: str, said: str | None
) -> None:
    for _ in range(2):
        client.ask("GET", "/v1/whoami", f"Connection: {asked}", version=version)
        status, headers, _body = await client.answer()
        assert (status, headers.get("connection")) == (200, said)


@pytest.mark.parametrize(
    ("version", "asked", "said"), [("1.0", "x", None), ("1.1", "close", "close")]
)
async def test_a_connection_ends_with_the_request_that_asks_for_it(
    client: Client, version: str, asked: str, said: str | None
) -> None:
    client.ask("GET", "/v1/whoami", f"Connection: {asked}", version=version)
    status, headers, _body = await client.answer()
    assert (status, headers.get("connection")) == (200, said)
    assert await client.is_closed()


async def test_a_body_that_was_refused_is_no_request(client: Client) -> None:
    hidden = f"DELETE {MEMORIES}/n HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    head = f"PUT {MEMORIES}/n HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
    client.writer.write(f"{head}Content-Length: {len(hidden)}\r\n\r\n".encode())
    assert (await client.answer())[0] == 415
    client.writer.write(hidden)
    client.ask("GET", "/v1/whoami")
    assert (await client.answer())[0] == 200
    assert client.harness.engine.seen == []


async def test_an_upgrade_that_nobody_takes_is_an_ordinary_request(client: Client) -> None:
    client.ask("GET", "/v1/whoami", "Connection: upgrade", "Upgrade: websocket")
    client.ask("GET", f"{MEMORIES}/n")
    assert [(await client.answer())[0] for _ in range(2)] == [200, 404]


async def test_no_header_begins_another(client: Client) -> None:
    client.ask("GET", "/split")
    assert await client.is_closed()


async def test_a_client_that_takes_no_answers_is_asked_for_no_more_and_given_up(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "spine_node.http.connection")
    client.put("large", "x" * LARGE)
    await client.answer()
    seen = client.harness.engine.seen
    sent = 2000
    for _ in range(sent):
        client.ask("GET", f"{MEMORIES}/large")
    await until(lambda: bool(caplog.records))  # the reader limits what it takes by itself
    assert [record.message for record in caplog.records] == ["reader_given_up"]
    assert 1 < len(seen) < sent
