"""The answering half of a link: serves the calls of one peer on one WebSocket.

A handler answers at once, or with a future: nothing waits for the call before it, and all answers
that are ready in one turn of the loop leave in one message.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from spine_core.errors import ClockSkewError, ProblemError
from spine_core.tally import Answer
from spine_node.links.frames import (
    EMPTY,
    MESSAGE_BYTES_MAX,
    Body,
    Reply,
    Request,
    message,
    pack,
    requests_in,
    unpack,
)
from spine_node.links.hello import Greeting, Identity, check_greeting

logger = logging.getLogger("spine.links")

HEARTBEAT_S = 5.0
Outcome = tuple[str, Body]  # an `Answer` and the body that goes with it
Handler = Callable[[Request], Outcome | Awaitable[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a node serves to its peers: method → handler, and the clock that frames drag along."""

    me: Identity
    tokens: Callable[[], tuple[str, ...]]  # accepted bearer credentials
    handlers: dict[str, Handler]
    hlc: Callable[[], int]
    see: Callable[[int], None]  # raises ClockSkewError
    mutual_tls: bool  # peers must show a certificate of our authority


class LinkServer:
    """Accepts links. `handle` is the WebSocket end point at `/node/v1/link`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._open: set[web.WebSocketResponse] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one peer until it goes. 401 without a credential of this cluster."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not any(hmac.compare_digest(given, token) for token in self._service.tokens()):
            return web.Response(status=401)
        if self._service.mutual_tls and not _certified(request):
            return web.Response(status=403)
        flow = web.WebSocketResponse(
            max_msg_size=MESSAGE_BYTES_MAX, heartbeat=HEARTBEAT_S, compress=False
        )
        await flow.prepare(request)
        self._open.add(flow)
        try:
            await _Session(self._service, flow).run()
        finally:
            self._open.discard(flow)
        return flow

    async def close(self) -> None:
        """Close every link, so that peers notice at once."""
        for flow in tuple(self._open):
            await flow.close()


class _Session:
    """One accepted link."""

    def __init__(self, service: Service, flow: web.WebSocketResponse) -> None:
        self._service, self._flow = service, flow
        self._outbox: list[Reply] = []
        self._wake = asyncio.Event()
        self._running: set[asyncio.Future[Outcome]] = set()

    async def run(self) -> None:
        if not await self._greet():
            return
        sender = asyncio.create_task(self._send())
        try:
            async for received in self._flow:
                if received.type is not WSMsgType.BINARY:
                    break
                for request in requests_in(received.data):
                    self._start(request)
        except msgspec.DecodeError as error:
            logger.warning("link_broken", extra={"why": str(error)})
        finally:
            sender.cancel()
            for work in self._running:
                work.cancel()
            await asyncio.gather(sender, *self._running, return_exceptions=True)

    async def _greet(self) -> bool:
        received = await self._flow.receive()
        if received.type is not WSMsgType.BINARY:
            return False
        (hello,) = requests_in(received.data)
        greeting = msgspec.convert(unpack(hello.body), Greeting)
        refusal = check_greeting(self._service.me, greeting)
        status = refusal or Answer.OK
        body = pack(self._service.me.greeting())
        await self._flow.send_bytes(message([Reply(0, status, self._service.hlc(), body)]))
        return refusal is None

    def _start(self, request: Request) -> None:
        handler = self._service.handlers.get(request.method)
        if handler is None:
            self._reply(request.call, (Answer.ERROR, pack(f"no method {request.method}")))
            return
        try:
            self._service.see(request.hlc)
        except ClockSkewError:
            self._reply(request.call, (Answer.CLOCK_SKEW, EMPTY))
            return
        outcome = handler(request)
        if isinstance(outcome, tuple):
            self._reply(request.call, outcome)
            return
        work: asyncio.Future[Outcome] = asyncio.ensure_future(outcome)
        self._running.add(work)
        work.add_done_callback(lambda done: self._finish(request.call, done))

    def _finish(self, call: int, work: asyncio.Future[Any]) -> None:
        self._running.discard(work)
        if work.cancelled():
            return
        error = work.exception()
        if error is None:
            self._reply(call, work.result())
        elif isinstance(error, ProblemError):
            self._reply(call, (Answer.ERROR, pack(error.code)))
        else:
            logger.error("call_failed", exc_info=error)
            self._reply(call, (Answer.ERROR, EMPTY))

    def _reply(self, call: int, outcome: Outcome) -> None:
        status, body = outcome
        self._outbox.append(Reply(call, status, self._service.hlc(), body))
        self._wake.set()

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._outbox = self._outbox, []
            await self._flow.send_bytes(message(batch))


def _certified(request: web.BaseRequest) -> bool:
    transport = request.transport
    return transport is not None and bool(transport.get_extra_info("peercert"))
