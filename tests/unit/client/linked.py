"""What the tests of links share: nodes that listen, and nodes that play a script on each link."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from aiohttp import WSMsgType, web

from memory_spine.effects import Request
from memory_spine.link_transport import LinkTransport
from spine_node.http.server import HttpServer, serve
from unit.http.harness import HttpHarness

BOTH = pytest.mark.parametrize("transport", ["http", "link"])

Flow = web.WebSocketResponse
Play = Callable[[Flow], Awaitable[None]]
Calls = list[list[Any]]


async def no_links(_request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=404)


@dataclass
class Node:
    """A node on doubles that listens."""

    harness: HttpHarness
    server: HttpServer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def connections(self) -> int:
        return len(self.server._connections.connections)


@asynccontextmanager
async def listening(harness: HttpHarness | None = None) -> AsyncIterator[Node]:
    harness = harness or HttpHarness()
    server = await serve(harness.app, no_links, address=("127.0.0.1", 0), limit=harness.limit)
    try:
        yield Node(harness, server)
    finally:
        await server.close(grace_s=0.05)


@dataclass
class ScriptedNode:
    """Plays a script on each link; answers 500 to what comes by HTTP."""

    url: str = ""
    upgrades: list[dict[str, str]] = field(default_factory=list)
    by_http: list[str] = field(default_factory=list)
    status: int = 101  # of the upgrade


@asynccontextmanager
async def scripted(play: Play, **options: Any) -> AsyncIterator[ScriptedNode]:
    node = ScriptedNode(**options)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.path != "/v1/link":
            node.by_http.append(request.path)
            async for _ in request.content.iter_any():
                pass
            return web.Response(status=500)
        node.upgrades.append(dict(request.headers))
        if node.status != 101:
            return web.Response(status=node.status)
        flow = web.WebSocketResponse()
        await flow.prepare(request)
        await play(flow)
        return flow

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    node.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield node
    finally:
        await runner.cleanup()


async def calls_of(flow: Flow) -> Calls:
    """Return the calls of the next message; none at the end of the link."""
    received = await flow.receive()
    if received.type is not WSMsgType.BINARY:
        return []
    calls: Calls = msgspec.msgpack.decode(received.data)
    return calls


async def reply(flow: Flow, *parts: Any) -> None:
    await flow.send_bytes(msgspec.msgpack.encode(parts))


async def silent(flow: Flow) -> None:
    while await calls_of(flow):
        pass


async def echo(flow: Flow) -> None:
    """Answer every call with its target."""
    while calls := await calls_of(flow):
        await reply(flow, *([call[0], 200, {}, call[2].encode()] for call in calls))


def request(url: str, target: str = "/v1/x", body: bytes | None = None, **times: float) -> Request:
    return Request(
        method="PUT",
        url=url + target,
        base=url,
        headers={},
        body=body,
        timeout_s=times.get("timeout_s", 5.0),
        first_byte_s=times.get("first_byte_s"),
    )


@asynccontextmanager
async def transport() -> AsyncIterator[LinkTransport]:
    made = LinkTransport()
    try:
        yield made
    finally:
        await made.close()
