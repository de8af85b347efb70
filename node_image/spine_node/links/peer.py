"""The dialling half of a link: calls of this node to one peer, many at once on one connection.

A call that could not be sent answers `unreachable`, one that was sent and never answered `lost`;
both are said by this side, and neither is a "no" of the peer. One link serves one direction: who
calls, dials, so no two nodes argue about whose connection stays.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import msgspec

from spine_core.errors import ClockSkewError
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import HLC_ZERO, Hlc
from spine_node.clock import Clock
from spine_node.links.frames import (
    EMPTY,
    MESSAGE_BYTES_MAX,
    Body,
    CallReply,
    Outbox,
    ReplyFrame,
    call_messages,
    ids_of,
    only_reply_in,
    replies_in,
)
from spine_node.links.hello import HELLO, LinkIdentity, check_greeting

logger = logging.getLogger("spine.links")

DIAL_TIMEOUT_S = 2.0
REDIAL_S = 0.25  # first wait after a failed dial; doubles up to REDIAL_MAX_S
REDIAL_MAX_S = 2.0
PENDING_MAX = 10_000  # calls without an answer before new ones are refused: the peer hangs
WAITING_BYTES_MAX = 64 * 1024 * 1024  # the same for bodies that the peer does not take off us
HEARTBEAT_S = 5.0  # a connection whose peer vanished is found by WebSocket pings

OnReply = Callable[[ReplicaStatus, Body], None]
_ANSWERS = frozenset(ReplicaStatus)
# What may end a connection; UnicodeError: a host whose name cannot be asked for.
_BROKEN = (aiohttp.ClientError, TimeoutError, OSError, UnicodeError, msgspec.DecodeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Whom a link calls and how: all of it fixed for the link's life."""

    url: str
    token: str
    tls: ssl.SSLContext | None


class PeerLink:
    """One peer, as seen from here. `run` keeps it connected until it is cancelled."""

    def __init__(
        self,
        dial: Dial,
        me: LinkIdentity,
        clock: Clock,
        hlc: Callable[[], Hlc],
        observe: Callable[[Hlc], None],
    ) -> None:
        self._dial, self._me, self._clock = dial, me, clock
        self._hlc, self._observe = hlc, observe
        self._pending: dict[int, OnReply] = {}
        self._outbox = Outbox()
        self._wake = asyncio.Event()
        self._calls = 0
        self._flow: aiohttp.ClientWebSocketResponse | None = None
        self.refusal: str | None = None  # why the last greeting failed

    @property
    def up(self) -> bool:
        """Greeted and connected."""
        return self._flow is not None

    def call(self, method: str, epoch: int, body: Body, left_ms: int, on_reply: OnReply) -> None:
        """Send a call with the next message; `on_reply(status, body)` runs exactly once."""
        if self._flow is None:
            on_reply(ReplicaStatus.UNREACHABLE, EMPTY)
            return
        if len(self._pending) >= PENDING_MAX or self._outbox.bytes >= WAITING_BYTES_MAX:
            on_reply(ReplicaStatus.BUSY, EMPTY)
            return
        self._calls += 1
        self._pending[self._calls] = on_reply
        self._outbox.add(self._calls, method, epoch, left_ms, body)
        self._wake.set()

    async def run(self) -> None:
        """Dial, serve, redial, for ever."""
        wait = REDIAL_S
        connector = aiohttp.TCPConnector(ssl=self._dial.tls or True, ttl_dns_cache=1)
        async with aiohttp.ClientSession(connector=connector) as http:
            while True:
                try:
                    if await self._connected(http):
                        wait = REDIAL_S
                except _BROKEN as error:
                    self._note_failure(f"{type(error).__name__}: {error}")
                finally:
                    self._end()
                await self._clock.sleep(self._clock.jittered(wait))
                wait = min(2 * wait, REDIAL_MAX_S)

    def _note_failure(self, why: str) -> None:
        """Log a failure when it is another one than the time before."""
        if why != self.refusal:
            logger.info("link_down", extra={"url": self._dial.url, "why": why})
        self.refusal = why

    async def _connected(self, http: aiohttp.ClientSession) -> bool:
        """Dial, greet and serve until the link breaks; return whether it was ever up."""
        headers = {"Authorization": f"Bearer {self._dial.token}"}
        async with (
            asyncio.timeout(DIAL_TIMEOUT_S) as dialling,
            http.ws_connect(
                f"{self._dial.url}/node/v1/link",
                headers=headers,
                max_msg_size=MESSAGE_BYTES_MAX,
                heartbeat=HEARTBEAT_S,
                compress=0,
            ) as flow,
        ):
            refusal = await self._greet(flow)
            if refusal is not None:
                self._note_failure(refusal)
                return False
            self.refusal = None
            dialling.reschedule(None)
            await self._serve(flow)
            return True

    async def _greet(self, flow: aiohttp.ClientWebSocketResponse) -> str | None:
        """Return why one end does not talk to the other, None when both do."""
        hello = Outbox()
        hello.add(0, HELLO.name, self._me.epoch(), 0, HELLO.pack(self._me.greeting()))
        for data in call_messages(hello.take(self._hlc())):
            await flow.send_bytes(data)
        received = await flow.receive()
        if received.type is not aiohttp.WSMsgType.BINARY:
            return "closed before it greeted"
        reply = only_reply_in(received.data)
        if reply.status != ReplicaStatus.OK:
            return reply.status
        return check_greeting(self._me, HELLO.reply_in(reply.body))

    async def _serve(self, flow: aiohttp.ClientWebSocketResponse) -> None:
        self._flow = flow
        sender = asyncio.create_task(self._send(flow))
        try:
            async for received in flow:
                if received.type is not aiohttp.WSMsgType.BINARY:
                    return
                self._answered(replies_in(received.data))
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _send(self, flow: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for data in call_messages(self._outbox.take(self._hlc())):
                await flow.send_bytes(data)

    def _answered(self, frame: ReplyFrame) -> None:
        try:
            self._observe(frame.hlc)
        except ClockSkewError:  # refused, as any message of such a clock; the calls were served
            lost = [CallReply(one.call, ReplicaStatus.LOST, EMPTY) for one in frame.replies]
            frame = ReplyFrame(HLC_ZERO, lost)
        for reply in frame.replies:
            on_reply = self._pending.pop(reply.call, None)
            if on_reply is not None:
                _tell(on_reply, _status_of(reply), reply.body)

    def _end(self) -> None:
        self._flow = None
        unsent = ids_of(self._outbox.take(HLC_ZERO))
        pending, self._pending = self._pending, {}
        for call, on_reply in pending.items():
            _tell(
                on_reply, ReplicaStatus.UNREACHABLE if call in unsent else ReplicaStatus.LOST, EMPTY
            )


def _status_of(reply: CallReply) -> ReplicaStatus:
    """Return the status; what a newer version may say beyond our table is no "ok" and no "no"."""
    return ReplicaStatus(reply.status) if reply.status in _ANSWERS else ReplicaStatus.ERROR


def _tell(on_reply: OnReply, status: ReplicaStatus, body: Body) -> None:
    try:
        on_reply(status, body)
    except Exception:  # a bug behind one call must not end the link and all other calls with it
        logger.exception("reply_failed", extra={"status": status})
