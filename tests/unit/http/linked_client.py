"""One link as a client holds it, message by message."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
from aiohttp import WSMsgType, web

from spine_node.http.connection import Timeouts
from spine_node.http.server import HttpServer, serve
from unit.http.harness import DEADLINE_S, HttpHarness

JSON = {"Content-Type": "application/json"}
Part = tuple[int, int, dict[str, str], bytes, bool]


async def no_links(_request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=404)


@dataclass
class Client:
    """One link, as a client holds it."""

    flow: aiohttp.ClientWebSocketResponse

    async def send(self, *calls: tuple[Any, ...]) -> None:
        """Send calls in one message."""
        await self.flow.send_bytes(msgspec.msgpack.encode(calls))

    async def receive(self) -> list[Part]:
        """Return the answers of one message."""
        async with asyncio.timeout(DEADLINE_S):
            received = await self.flow.receive()
        assert received.type is WSMsgType.BINARY, received
        parts: list[Part] = msgspec.msgpack.decode(received.data)
        return parts

    async def ask(
        self, method: str, target: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Make one call and return its whole answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.send((1, method, target, named, body))
        first: Part | None = None
        got = b""
        while True:
            for part in await self.receive():
                first = first or part
                got += part[3]
                if not part[4]:
                    return first[1], first[2], got

    async def closed_with(self) -> int | None:
        """Wait until the node ends the link; return its code."""
        async with asyncio.timeout(DEADLINE_S):
            received = await self.flow.receive()
        assert received.type in {WSMsgType.CLOSE, WSMsgType.CLOSED}, received
        return self.flow.close_code


@asynccontextmanager
async def listening(harness: HttpHarness, **timeouts: float) -> AsyncIterator[HttpServer]:
    server = await serve(
        harness.app,
        no_links,
        address=("127.0.0.1", 0),
        limit=harness.limit,
        timeouts=Timeouts(**timeouts),
    )
    try:
        yield server
    finally:
        await server.close(grace_s=0.05)


@asynccontextmanager
async def linked(server: HttpServer, **headers: str) -> AsyncIterator[Client]:
    url = f"http://127.0.0.1:{server.port}/v1/link"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, headers=JSON | headers, max_msg_size=0) as flow,
    ):
        yield Client(flow)
