"""One link to one node: many requests on one WebSocket, without a task for any of them.

A request waits in a future, of this event loop or of another thread's. It is resolved with the answer,
with None when the node gives no links (ask it by HTTP), or with `ConnectionFailed`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future as ThreadFuture
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from math import inf
from typing import Protocol, TypeAlias

import aiohttp
import msgspec

from memory_spine.aiohttp_transport import reason_of
from memory_spine.effects import Answer, Request
from memory_spine.errors import ConnectionFailed
from memory_spine.link_frames import (
    CALLS_MAX,
    MESSAGE_BYTES_FULL,
    UNDER_WAY_BYTES_MAX,
    AnswerPart,
    answers_in,
    encoded_call,
    message_of,
)

DIAL_S = 5.0  # nobody waits longer for a connection; who waits at all does so for its own time

Outcome: TypeAlias = "asyncio.Future[Answer | None] | ThreadFuture[Answer | None]"
Flow: TypeAlias = aiohttp.ClientWebSocketResponse
Dial: TypeAlias = Callable[[], AbstractAsyncContextManager[Flow]]

_BROKEN = (aiohttp.ClientError, TimeoutError, OSError, UnicodeError, msgspec.DecodeError)


class Owner(Protocol):
    """Holds the links of an event loop."""

    def retired(self, link: "Link") -> None:
        """Nothing more should be asked on this link."""

    def refused(self, link: "Link", status: int) -> None:
        """The node has refused the upgrade with this status."""

    def ended(self, link: "Link") -> None:
        """The link is gone, and nobody waits on it."""


class _Waiting:
    """One request without its answer."""

    __slots__ = ("began_s", "ends_s", "first", "outcome", "parts", "request", "sent_bytes")

    def __init__(self, request: Request, outcome: Outcome, began_s: float) -> None:
        self.request, self.outcome, self.began_s = request, outcome, began_s
        self.ends_s = began_s + min(request.timeout_s, request.first_byte_s or request.timeout_s)
        self.first: AnswerPart | None = None  # the answer has begun
        self.parts: list[bytes] = []
        self.sent_bytes = 0  # 0: it is in the outbox


class Link:
    """Dials, sends what is asked for, and ends with the connection or when it is `retired` and empty.

    Args:
        base: address of the node.
        common: headers of the upgrade, which are not sent again.
    """

    def __init__(self, base: str, common: Mapping[str, str], dial: Dial, owner: Owner) -> None:
        self.base, self.common = base, common
        self._dial, self._owner = dial, owner
        self._loop = asyncio.get_running_loop()
        self._numbers = 0
        self._waiting: dict[int, _Waiting] = {}
        self._outbox: OrderedDict[int, bytes] = OrderedDict()  # encoded and not sent
        self._under_way_bytes = 0  # of calls that were sent and are not answered
        self._wake = asyncio.Event()
        self._look_s = inf  # when to look whose time is over: no later than the first one's
        self._looker: asyncio.TimerHandle | None = None
        self._heard_s = self._loop.time()
        self._connected = self._retired = False
        self._running = self._loop.create_task(self._run())

    def ask(self, request: Request, outcome: Outcome) -> int:
        """Send a request with the next message; return the number by which it can be forgotten."""
        number = self._numbers = self._numbers + 1
        waiting = self._waiting[number] = _Waiting(request, outcome, self._loop.time())
        self._outbox[number] = encoded_call(number, request, self.common)
        if waiting.ends_s < self._look_s:
            self._look_at(waiting.ends_s)
        self._wake.set()
        return number

    def forget(self, number: int) -> None:
        """Nobody waits for this answer any more; the node is not told, as with HTTP."""
        if number in self._waiting:
            self._take(number)
            self._freed()

    async def close(self) -> None:
        """End the link now."""
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        reason = "the client was closed"
        refused = False
        try:
            async with asyncio.timeout(DIAL_S) as dialling, self._dial() as flow:
                dialling.reschedule(None)
                self._connected = True
                reason = await self._serve(flow)
        except aiohttp.WSServerHandshakeError as error:
            self._owner.refused(self, error.status)
            refused = True
        except _BROKEN as error:
            if self._waiting:
                reason = reason_of(error, next(iter(self._waiting.values())).request)
        finally:
            self._end(reason, refused=refused)
            self._owner.ended(self)

    async def _serve(self, flow: Flow) -> str:
        """Serve until the connection ends; return why it did."""
        sender = self._loop.create_task(self._send(flow))
        try:
            while (received := await flow.receive()).type is aiohttp.WSMsgType.BINARY:
                self._heard_s = self._loop.time()
                answers = answers_in(received.data)
                if not answers:
                    self.retire()
                with_others = len(answers) > 1
                for answer in answers:
                    self._answered(answer, with_others)
                self._freed()
            if received.type is aiohttp.WSMsgType.ERROR:
                return f"the link broke: {received.data}"
            return "the node ended the link"
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _send(self, flow: Flow) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while calls := self._next_calls():
                await flow.send_bytes(message_of(calls))

    def _next_calls(self) -> list[bytes]:
        """Take the calls of one message, as many as the node reads."""
        calls: list[bytes] = []
        room = CALLS_MAX - (len(self._waiting) - len(self._outbox))
        full = min(self._under_way_bytes + MESSAGE_BYTES_FULL, UNDER_WAY_BYTES_MAX)
        while self._outbox and self._under_way_bytes < full and len(calls) < room:
            number, call = self._outbox.popitem(last=False)
            calls.append(call)
            self._waiting[number].sent_bytes = len(call)
            self._under_way_bytes += len(call)
        return calls

    def retire(self) -> None:
        """Take no new requests; end when those that wait have their answers."""
        if not self._retired:
            self._retired = True
            self._owner.retired(self)
            self._freed()

    def _answered(self, part: AnswerPart, with_others: bool) -> None:
        waiting = self._waiting.get(part.call)
        if waiting is None:
            return  # it was given up
        first, body = part, part.body
        if part.more or waiting.first is not None:
            if waiting.first is None:
                waiting.first = part
                waiting.ends_s = waiting.began_s + waiting.request.timeout_s  # only this counts now
            waiting.parts.append(part.body)
            if part.more:
                return
            first, body = waiting.first, b"".join(waiting.parts)
        self._take(part.call)
        headers = dict(zip(_lower_case(tuple(first.headers)), first.headers.values(), strict=True))
        answer = Answer(status=first.status, headers=headers, body=body, with_others=with_others)
        _resolve(waiting.outcome, answer)

    def _look_at(self, when_s: float) -> None:
        if self._looker is not None:
            self._looker.cancel()
        self._look_s = when_s
        self._looker = None if when_s == inf else self._loop.call_at(when_s, self._look)

    def _look(self) -> None:
        """Give up what has waited for too long. One timer does for all: most are answered before."""
        now_s = max(self._loop.time(), self._look_s)  # a timer may fire a little early
        for number in [n for n, waiting in self._waiting.items() if waiting.ends_s <= now_s]:
            self._expire(number)
        self._look_at(min((waiting.ends_s for waiting in self._waiting.values()), default=inf))

    def _expire(self, number: int) -> None:
        unsent = number in self._outbox
        waiting = self._take(number)
        request = waiting.request
        first_byte_s = min(request.timeout_s, request.first_byte_s or request.timeout_s)
        if not self._connected:
            reason = f"no connection within {first_byte_s:.1f} s"
        elif waiting.first is not None:
            reason = f"no whole answer within {request.timeout_s:.1f} s"
        else:
            reason = f"{'not sent' if unsent else 'no answer'} within {first_byte_s:.1f} s"
        _fail(waiting.outcome, ConnectionFailed(request.url, reason, sent=not unsent))
        if self._heard_s <= waiting.began_s:
            self.retire()  # nothing at all came: whoever asks next had better dial anew
        self._freed()

    def _take(self, number: int) -> _Waiting:
        if self._outbox:
            self._outbox.pop(number, None)
        waiting = self._waiting.pop(number)
        self._under_way_bytes -= waiting.sent_bytes
        return waiting

    def _freed(self) -> None:
        if self._outbox:
            self._wake.set()
        if self._retired and not self._waiting:
            self._running.cancel()

    def _end(self, reason: str, *, refused: bool) -> None:
        """Tell every request what became of it; one that was never sent says so."""
        self._retired = True
        self._owner.retired(self)
        self._look_at(inf)
        for number in list(self._waiting):
            unsent = number in self._outbox
            waiting = self._take(number)
            if refused:
                _resolve(waiting.outcome, None)
            else:
                failure = ConnectionFailed(waiting.request.url, reason, sent=not unsent)
                _fail(waiting.outcome, failure)


@lru_cache(maxsize=256)  # answers have the same few sets of names
def _lower_case(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)


def _resolve(outcome: Outcome, answer: Answer | None) -> None:
    if not outcome.done():
        outcome.set_result(answer)


def _fail(outcome: Outcome, failure: ConnectionFailed) -> None:
    if not outcome.done():
        outcome.set_exception(failure)
