"""The answering half of a link: serves the calls of one peer on one WebSocket.

A handler answers at once, or with a future: nothing waits for the call before it, and all answers
that are ready in one turn of the loop leave in one message.
"""

import asyncio
import hmac
import logging
from collections.abc import Callable
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
    CallFrame,
    CallHeader,
    CallReply,
    calls_in,
    encoder,
    only_call_in,
    reply_messages,
)
from spine_node.links.hello import HELLO, LinkIdentity, check_greeting
from spine_node.links.methods import CallResult, Handler, RefusedCallError

logger = logging.getLogger("spine.links")

HEARTBEAT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a node serves to its peers: method → handler, and the clock that frames drag along."""

    me: LinkIdentity
    tokens: Callable[[], tuple[str, ...]]  # accepted bearer credentials
    handlers: dict[str, Handler]
    hlc: Callable[[], Hlc]
    observe: Callable[[Hlc], None]  # raises ClockSkewError
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

    def __init__(self, service: Service, reply: Callable[[CallReply], None]) -> None:
        self._service, self._reply = service, reply
        self._running: set[asyncio.Future[CallResult]] = set()

    def start(self, frame: CallFrame) -> None:
        """Serve calls. Their time is seen first, or a handler could act in the past of its caller."""
        refusal: CallResult | None = None
        try:
            self._service.observe(frame.header.hlc)
        except ClockSkewError as error:
            refusal = _failure(error)
        handler = self._service.handlers.get(frame.header.method, _no_such_method)
        for call, body in enumerate(frame.bodies, frame.first):
            if refusal is None:
                self._serve(call, frame.header, handler, body)
            else:
                self._answer(call, refusal)

    def _serve(self, call: int, header: CallHeader, handler: Handler, body: Body) -> None:
        try:
            result = handler(header, body)
        except Exception as error:  # noqa: BLE001 - told to the caller and the log, by kind
            self._answer(call, _failure(error))
            return
        if isinstance(result, tuple):
            self._answer(call, result)
            return
        work: asyncio.Future[CallResult] = asyncio.ensure_future(result)
        self._running.add(work)
        work.add_done_callback(partial(self._finish, call))

    async def cancel(self) -> None:
        """End what is running; what it has put into the store's queue stays there."""
        running = tuple(self._running)
        for work in running:
            work.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _finish(self, call: int, work: "asyncio.Future[CallResult]") -> None:
        self._running.discard(work)
        if not work.cancelled():
            error = work.exception()
            self._answer(call, work.result() if error is None else _failure(error))

    def _answer(self, call: int, result: CallResult) -> None:
        status, body = result
        self._reply(CallReply(call, status, body))


def _no_such_method(header: CallHeader, _body: Body) -> CallResult:
    logger.warning("call_refused", extra={"why": f"no method {header.method}"})
    return ReplicaStatus.ERROR, EMPTY


def _failure(error: BaseException) -> CallResult:
    """Return the answer to a call that raised: expected failures by their code, bugs to the log."""
    if isinstance(error, RefusedCallError):
        return error.status, error.body
    if isinstance(error, ClockSkewError):
        return ReplicaStatus.CLOCK_SKEW, EMPTY
    if isinstance(error, ProblemError):
        return ReplicaStatus.ERROR, msgspec.Raw(encoder.encode(error.code))
    if isinstance(error, SpineError | msgspec.DecodeError):
        logger.warning("call_refused", extra={"why": str(error)})
    else:
        logger.error("call_failed", exc_info=error)
    return ReplicaStatus.ERROR, EMPTY


class _Session:
    """One accepted link."""

    def __init__(self, service: Service, flow: web.WebSocketResponse) -> None:
        self._service, self._flow = service, flow
        self._calls = Calls(service, self._reply)
        self._outbox: list[CallReply] = []
        self._wake = asyncio.Event()

    async def run(self) -> None:
        sender = asyncio.create_task(self._send())
        try:
            if not await self._greet():
                return
            async for received in self._flow:
                if received.type is not WSMsgType.BINARY:
                    break
                for frame in calls_in(received.data):
                    self._calls.start(frame)
        except msgspec.DecodeError as error:
            logger.warning("link_broken", extra={"why": str(error)})
        finally:
            sender.cancel()
            await asyncio.gather(sender, self._calls.cancel(), return_exceptions=True)

    async def _greet(self) -> bool:
        received = await self._flow.receive()
        if received.type is not WSMsgType.BINARY:
            return False
        _header, hello = only_call_in(received.data)
        refusal = check_greeting(self._service.me, HELLO.request_in(hello))
        body = HELLO.pack_reply(self._service.me.greeting())
        reply = CallReply(0, refusal or ReplicaStatus.OK, body)
        for data in reply_messages(self._service.hlc(), [reply]):
            await self._flow.send_bytes(data)
        return refusal is None

    def _reply(self, reply: CallReply) -> None:
        self._outbox.append(reply)
        self._wake.set()

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._outbox = self._outbox, []
            for data in reply_messages(self._service.hlc(), batch):
                await self._flow.send_bytes(data)


def _certified(request: web.BaseRequest) -> bool:
    transport = request.transport
    return transport is not None and bool(transport.get_extra_info("peercert"))
