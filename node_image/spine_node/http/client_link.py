"""Links of clients: many requests on one WebSocket, each answered as if it had come by itself.

`App` answers the upgrade and every call: credential, limits, problems, audit and metrics are those of
HTTP. A call whose client has left runs to its end, as a request does.

What one link can hold is bounded: `CALLS_MAX` calls under way, and `HELD_BYTES_MAX` of their bodies
and of answers that the client does not take; at either, nothing more is read.
"""

import asyncio
import contextlib
import logging
from collections import deque
from typing import Final

import msgspec
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from multidict import CIMultiDict

from spine_core.errors import ProblemError
from spine_node.http.app import App
from spine_node.http.connection import TOO_LONG, TOO_MANY_HEADERS, Connection
from spine_node.http.limits import HEADER_BYTES_MAX, HEADERS_MAX
from spine_node.http.link_frames import (
    CALLS_MAX,
    GO_AWAY,
    MESSAGE_BYTES_MAX,
    Answer,
    Call,
    calls_in,
    encode,
    next_message,
)
from spine_node.http.messages import Request, Response, whole
from spine_node.http.request_context import RequestContext

logger = logging.getLogger(__name__)

HELD_BYTES_MAX: Final = 8 * 1024 * 1024
CLOSE_S: Final = 1.0  # for a client to say goodbye
_COMMON: Final = ("Host", "Authorization", "Accept", "Content-Type", "User-Agent")
_IN_PARTS: Final = "this answer comes in parts of unknown number: ask for it without a link"


async def open_link(context: RequestContext) -> Response:
    """`GET /v1/link`: 101, and the connection is a link; a page in a browser gets none.

    A browser asks no server before a page of another site opens a WebSocket to it (CORS is about
    requests), so whoever names an origin is refused, with keys and without.
    """
    given = context.request.headers
    if "Origin" in given:
        raise ProblemError("forbidden", "a link is for programs, not for pages in a browser")
    if context.request.method != "GET" or given.get("Upgrade", "").lower() != "websocket":
        raise ProblemError("invalid-request", "a link begins with an upgrade to a WebSocket")
    return Response(101, {})


class ClientLinks:
    """What the links of one node share: who answers, and all calls that are under way."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.running: set[asyncio.Task[None]] = set()  # also of links that are gone

    async def serve(self, raw: web.BaseRequest, upgrade: Request) -> web.StreamResponse | None:
        """Serve a connection whose upgrade `App` has admitted, until it ends; None: it is malformed."""
        flow = web.WebSocketResponse(
            max_msg_size=MESSAGE_BYTES_MAX, autoping=False, compress=False, timeout=CLOSE_S
        )
        if not flow.can_prepare(raw):
            return None
        await flow.prepare(raw)
        assert isinstance(raw.protocol, Connection), "only our own server calls"
        link = raw.protocol.link = _Link(self, flow, upgrade, raw.protocol)
        await link.run()
        return flow

    async def close(self) -> None:
        """Cancel the calls that had no end within the grace of their links."""
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)


class _Link:
    """One client's link."""

    def __init__(
        self,
        links: ClientLinks,
        flow: web.WebSocketResponse,
        upgrade: Request,
        connection: Connection,
    ) -> None:
        self._links, self._flow, self._remote = links, flow, upgrade.remote
        self._connection = connection
        given = upgrade.headers
        self._common = CIMultiDict((name, given[name]) for name in _COMMON if name in given)
        self._outbox: deque[Answer] = deque()
        self._calls = 0  # under way
        self._held = 0  # bytes of calls under way and of answers in the outbox
        self._heard = True  # since the last look
        self._going = False
        self._loop = asyncio.get_running_loop()
        self._wake, self._room, self._over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.idle_since: float | None = self._loop.time()  # None: calls are under way

    async def run(self) -> None:
        """Serve until either end closes, or the client breaks the protocol."""
        sender = self._loop.create_task(self._send())
        sender.add_done_callback(lambda _: self._room.set())
        self._watch()
        try:
            while self._took(received := await self._flow.receive()):
                if received.type is WSMsgType.PING:
                    await self._flow.pong(received.data)
                while self._full and not sender.done():
                    self._room.clear()
                    await self._room.wait()
        except msgspec.DecodeError as error:
            logger.info("client_link_broken", extra={"remote": self._remote, "why": str(error)})
            await self._flow.close(code=WSCloseCode.PROTOCOL_ERROR)
        except ConnectionError:
            pass  # the client left before its ping was answered
        finally:
            self._watcher.cancel()
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
            self._over.set()

    async def stop(self, grace_s: float) -> None:
        """Ask the client to send no more, answer what it has sent, then hang up."""
        self._going = True
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._over.wait()
        await self._flow.close(code=WSCloseCode.GOING_AWAY)

    @property
    def _full(self) -> bool:
        return self._calls >= CALLS_MAX or self._held >= HELD_BYTES_MAX

    def _took(self, received: WSMessage) -> bool:
        """Take a message; return whether more can follow."""
        self._heard = True
        if received.type is WSMsgType.TEXT:
            raise msgspec.DecodeError("a message of text")
        if received.type is WSMsgType.BINARY:
            for call in calls_in(received.data):
                self._start(call)
        return received.type in {WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG}

    def _start(self, call: Call) -> None:
        self._calls += 1
        self._held += len(call.body)
        self.idle_since = None
        running = self._loop.create_task(self._serve(call))
        self._links.running.add(running)
        running.add_done_callback(self._links.running.discard)

    async def _serve(self, call: Call) -> None:
        try:
            response = await self._response(call)
        finally:
            self._ended(call)
        body = b"" if call.method == "HEAD" else response.content
        self._held += len(body)
        self._outbox.append(Answer(call.id, response.status, response.headers, body))
        self._wake.set()

    def _ended(self, call: Call) -> None:
        self._calls -= 1
        self._held -= len(call.body)
        self._room.set()
        if not self._calls:
            self.idle_since = self._loop.time()

    async def _response(self, call: Call) -> Response:
        app = self._links.app
        if (excess := _excess(call)) is not None:
            return app.refusal(ProblemError("invalid-request", excess))
        headers = self._common.copy()
        headers.update(call.headers)
        path, _, query = call.target.partition("?")
        request = Request(
            method=call.method,
            path=path,
            query=query,
            headers=headers,
            body=whole(call.body),
            remote=self._remote,
        )
        response = await app.handle(request)
        if isinstance(response.body, bytes):
            return response
        await response.body.aclose()
        return app.refusal(ProblemError("invalid-request", _IN_PARTS))

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox:
                answers = next_message(self._outbox)
                await self._flow.send_bytes(encode(answers))
                self._held -= sum(len(answer.body) for answer in answers)
                self._heard = True  # what a client has stopped to read is `Connection`'s to end
                self._room.set()
            if self._going:
                self._going = False
                await self._flow.send_bytes(GO_AWAY)

    def _watch(self) -> None:
        """Give the client some time to say something, a ping at least."""
        self._heard = False
        self._watcher = self._loop.call_later(self._connection.timeouts.link_s, self._look)

    def _look(self) -> None:
        """Drop a client that has said nothing; one whose messages we did not read is excused."""
        if self._heard or self._full:
            self._watch()
            return
        logger.info("client_link_silent", extra={"remote": self._remote})
        self._connection.abort()


def _excess(call: Call) -> str | None:
    """Return what is longer in a call than HTTP allows."""
    longest = max(map(len, call.headers.values()), default=0)
    if longest > HEADER_BYTES_MAX or len(call.target) > HEADER_BYTES_MAX:
        return TOO_LONG
    return TOO_MANY_HEADERS if len(call.headers) > HEADERS_MAX else None
