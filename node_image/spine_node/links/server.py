"""The answering half of a link: serves the calls of one peer on one WebSocket.

A handler answers at once, or with a future: nothing waits for the call before it, and all answers
that are ready in one turn of the loop leave in one message.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import msgspec
from aiohttp import WSMsgType, web

from spine_core.errors import ClockSkewError, ProblemError, SpineError
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc
from spine_node.links.frames import (
    EMPTY,
    MESSAGE_BYTES_MAX,
    Body,
    Reply,
    Request,
    messages,
    only,
    pack,
    requests_in,
    unpack,
)
from spine_node.links.hello import Greeting, Identity, check_greeting

logger = logging.getLogger("spine.links")

HEARTBEAT_S = 5.0
Outcome = tuple[str, Body]  # a `ReplicaStatus` and the body that goes with it
Handler = Callable[[Request], Outcome | Awaitable[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a node serves to its peers: method → handler, and the clock that frames drag along."""

    me: Identity
    tokens: Callable[[], tuple[str, ...]]  # accepted bearer credentials
    handlers: dict[str, Handler]
    hlc: Callable[[], Hlc]
    see: Callable[[Hlc], None]  # raises ClockSkewError
    mutual_tls: bool  # peers must show a certificate of our authority


class LinkServer:
    """Accepts links. `handle` is the WebSocket end point at `/node/v1/link`."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._open: set[web.WebSocketResponse] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one peer until it goes. 401 without a credential of this cluster."""
        given = (
            request.headers.get("Authorization", "")
            .removeprefix("Bearer ")
            .encode("utf-8", "replace")
        )
        if not any(hmac.compare_digest(given, token.encode()) for token in self.service.tokens()):
            return web.Response(status=401)
        if self.service.mutual_tls and not _certified(request):
            return web.Response(status=403)
        flow = web.WebSocketResponse(
            max_msg_size=MESSAGE_BYTES_MAX, heartbeat=HEARTBEAT_S, compress=False
        )
        await flow.prepare(request)
        self._open.add(flow)
        try:
            await _Session(self.service, flow).run()
        finally:
            self._open.discard(flow)
        return flow

    async def close(self) -> None:
        """Close every link, so that peers notice at once."""
        await asyncio.gather(*(flow.close() for flow in self._open))


class Calls:
    """The calls of one peer that are being served, whatever they came by.

    `reply` is called once for each, unless `cancel` comes first.
    """

    def __init__(self, service: Service, reply: Callable[[Reply], None]) -> None:
        self._service, self._reply = service, reply
        self._running: set[asyncio.Future[Outcome]] = set()

    def start(self, request: Request) -> None:
        """Serve a call. Its time is seen first, or a handler could act in the past of its caller."""
        handler = self._service.handlers.get(request.method)
        try:
            self._service.see(request.hlc)
            if handler is None:
                self._answer(
                    request.call, (ReplicaStatus.ERROR, pack(f"no method {request.method}"))
                )
                return
            outcome = handler(request)
        except Exception as error:  # noqa: BLE001 - told to the caller and the log, by kind
            self._answer(request.call, _failure(error))
            return
        if isinstance(outcome, tuple):
            self._answer(request.call, outcome)
            return
        work: asyncio.Future[Outcome] = asyncio.ensure_future(outcome)
        self._running.add(work)
        work.add_done_callback(partial(self._finish, request.call))

    async def cancel(self) -> None:
        """End what is running; what it has put into the store's queue stays there."""
        running = tuple(self._running)
        for work in running:
            work.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _finish(self, call: int, work: "asyncio.Future[Outcome]") -> None:
        self._running.discard(work)
        if not work.cancelled():
            error = work.exception()
            self._answer(call, work.result() if error is None else _failure(error))

    def _answer(self, call: int, outcome: Outcome) -> None:
        status, body = outcome
        self._reply(Reply(call, status, self._service.hlc(), body))


def _failure(error: BaseException) -> Outcome:
    """Return the answer to a call that raised: expected failures by their code, bugs to the log."""
    if isinstance(error, ClockSkewError):
        return ReplicaStatus.CLOCK_SKEW, EMPTY
    if isinstance(error, ProblemError):
        return ReplicaStatus.ERROR, pack(error.code)
    if isinstance(error, SpineError):
        logger.warning("call_refused", extra={"why": str(error)})
    else:
        logger.error("call_failed", exc_info=error)
    return ReplicaStatus.ERROR, EMPTY


class _Session:
    """One accepted link."""

    def __init__(self, service: Service, flow: web.WebSocketResponse) -> None:
        self._service, self._flow = service, flow
        self._calls = Calls(service, self._reply)
        self._outbox: list[Reply] = []
        self._wake = asyncio.Event()

    async def run(self) -> None:
        sender = asyncio.create_task(self._send())
        try:
            if not await self._greet():
                return
            async for received in self._flow:
                if received.type is not WSMsgType.BINARY:
                    break
                for request in requests_in(received.data):
                    self._calls.start(request)
        except msgspec.DecodeError as error:
            logger.warning("link_broken", extra={"why": str(error)})
        finally:
            sender.cancel()
            await asyncio.gather(sender, self._calls.cancel(), return_exceptions=True)

    async def _greet(self) -> bool:
        received = await self._flow.receive()
        if received.type is not WSMsgType.BINARY:
            return False
        hello = only(requests_in(received.data))
        greeting = msgspec.convert(unpack(hello.body), Greeting)
        refusal = check_greeting(self._service.me, greeting)
        body = pack(self._service.me.greeting())
        reply = Reply(0, refusal or ReplicaStatus.OK, self._service.hlc(), body)
        for data in messages([reply]):
            await self._flow.send_bytes(data)
        return refusal is None

    def _reply(self, reply: Reply) -> None:
        self._outbox.append(reply)
        self._wake.set()

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._outbox = self._outbox, []
            for data in messages(batch):
                await self._flow.send_bytes(data)


def _certified(request: web.BaseRequest) -> bool:
    transport = request.transport
    return transport is not None and bool(transport.get_extra_info("peercert"))
