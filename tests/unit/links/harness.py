"""Two ends of a real link on loopback: a served `LinkServer` and a dialling `PeerLink`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from spine_core.errors import ClockSkewError
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import HLC_ZERO, Hlc
from spine_node.clock import Clock
from spine_node.links.frames import EMPTY, Body, CallHeader, encoder
from spine_node.links.hello import LinkIdentity
from spine_node.links.methods import CallResult, Handler
from spine_node.links.peer import Dial, PeerLink
from spine_node.links.server import LinkServer, Service

CLUSTER = "11111111-1111-4111-8111-111111111111"
TOKEN = "0f" * 32
DRIFT = 1 << 16  # what the harness's clocks let through, as HLC


def identity(
    store_id: str, cluster_id: str | None = CLUSTER, expects: str | None = None
) -> LinkIdentity:
    return LinkIdentity(
        cluster_id=lambda: cluster_id,
        store_id=store_id,
        boot=1,
        epoch=lambda: 3,
        expects=expects,
    )


async def until(condition: Callable[[], bool], deadline_s: float = 10.0) -> None:
    """Wait for a condition to hold."""
    clock = Clock()
    end = clock.now() + deadline_s
    while not condition():
        assert clock.now() < end, "the condition did not come to hold"
        await clock.sleep(0.002)


async def echo(_header: CallHeader, body: Body) -> CallResult:
    return ReplicaStatus.OK, body


def pack(value: Any) -> Body:
    """Encode a body of any layout."""
    return msgspec.Raw(encoder.encode(value))


def unpack(body: Body) -> Any:
    """Decode a body of any layout."""
    return msgspec.msgpack.decode(body)


@dataclass
class End:
    """What one end knows of time, and what it was told."""

    hlc: Hlc = HLC_ZERO
    seen: list[Hlc] = field(default_factory=list)

    def now(self) -> Hlc:
        return self.hlc

    def observe(self, hlc: Hlc) -> None:
        if hlc > self.hlc + DRIFT:
            raise ClockSkewError((hlc - self.hlc) >> 16)
        self.seen.append(hlc)


ServerOf = Callable[[Service], LinkServer]


class Serving:
    """A `LinkServer` on a port of loopback; `requests` are those that reached its handlers."""

    def __init__(
        self, me: LinkIdentity | None, server_of: ServerOf, handlers: dict[str, Handler]
    ) -> None:
        self.end = End()
        self.requests: list[tuple[CallHeader, Body]] = []
        self.links = server_of(
            Service(
                me=me or identity("server"),
                tokens=lambda: (TOKEN, "ee" * 32),
                handlers={"echo": self._noting(echo)}
                | {name: self._noting(handler) for name, handler in handlers.items()},
                hlc=self.end.now,
                observe=self.end.observe,
                mutual_tls=False,
            )
        )
        self.port = 0
        self._runner: web.ServerRunner | None = None

    def _noting(self, handler: Handler) -> Handler:
        def noted(header: CallHeader, body: Body) -> CallResult | Awaitable[CallResult]:
            self.requests.append((header, body))
            return handler(header, body)

        return noted

    async def start(self) -> None:
        """Accept links, on the same port as before."""
        self._runner = web.ServerRunner(web.Server(self.links.handle), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close every link and the port."""
        assert self._runner is not None
        await self.links.close()
        await self._runner.cleanup()


@asynccontextmanager
async def serving(
    me: LinkIdentity | None = None, server_of: ServerOf = LinkServer, **handlers: Handler
) -> AsyncIterator[Serving]:
    server = Serving(me, server_of, handlers)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@dataclass
class Dialling:
    """A running `PeerLink` and its end's clock."""

    link: PeerLink
    end: End

    async def up(self) -> None:
        await until(lambda: self.link.up)

    async def ask(self, method: str, body: Any) -> tuple[ReplicaStatus, Any]:
        """Call and wait for the answer."""
        answered: asyncio.Future[tuple[ReplicaStatus, Any]] = (
            asyncio.get_running_loop().create_future()
        )
        self.call(method, body, lambda status, reply: answered.set_result((status, unpack(reply))))
        async with asyncio.timeout(10):
            return await answered

    def call(self, method: str, body: Any, on_reply: Callable[[ReplicaStatus, Body], None]) -> None:
        self.link.call(method, 3, EMPTY if body is None else pack(body), 1000, on_reply)


@asynccontextmanager
async def dialling(
    port: int,
    *,
    token: str = TOKEN,
    me: LinkIdentity | None = None,
    url: str | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Dialling]:
    end = End()
    dial = Dial(url=url or f"http://127.0.0.1:{port}", token=token, tls=None)
    me = me or identity("client", expects="server")
    link = PeerLink(dial, me, clock or Clock(), end.now, end.observe)
    running = asyncio.create_task(link.run())
    try:
        yield Dialling(link, end)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
