"""The requests of one connection, one after the other: read by aiohttp's parser, answered by `App`.

aiohttp's own loop makes a task, a request, a writer and a response for each of them, which costs more
than all that a read does. An ordinary request needs none: its head and body are there, and its answer is
one write. What is no ordinary request goes the way of aiohttp: an upgrade, a stream, bytes that are no HTTP.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion11, RawRequestMessage, StreamWriter
from aiohttp.http_writer import _serialize_headers
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import ERROR, _ErrInfo

from spine_node.http.messages import ClientGoneError, Request, Response
from spine_node.http.request_body import read_body, read_whole_body

SERVER: Final = "memory-spine"  # aiohttp would name itself and Python, with their versions
_BODILESS: Final = frozenset({204, 304})  # RFC 9110, 8.6: no Content-Length either
_REASONS: Final = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Answer = Callable[[Request], Awaitable[Response]]
SendStream = Callable[[Response, web.BaseRequest], Awaitable[web.StreamResponse]]


class RequestLoop(web.RequestHandler):
    """Answers the requests of one connection.

    Args:
        answer: answers an ordinary request.
        send_stream: sends an answer of unknown length.
    """

    def __init__(
        self, server: web.Server, answer: Answer, send_stream: SendStream, **options: Any
    ) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._answer = answer
        self._send_stream = send_stream
        self._remote = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who asks."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._remote = str(peer[0] if isinstance(peer, tuple) else peer or "")

    def is_ordinary(self, _message: RawRequestMessage) -> bool:
        """Whether `answer` may have the request."""
        return not self._upgraded

    def asked(self) -> None:
        """Hear that a request has come."""

    async def start(self) -> None:
        """Answer requests until the connection ends: aiohttp runs this as the task of the connection."""
        try:
            await self._answer_all()
        finally:
            if self.transport is not None:
                self.transport.close()

    async def _answer_all(self) -> None:
        while not self._force_close:
            message, payload = await self._next()
            self.asked()
            if isinstance(message, _ErrInfo):
                goes_on = await self._by_aiohttp(
                    self._raw(ERROR, payload), self._make_error_handler(message)
                )
            elif self.is_ordinary(message):
                goes_on = await self._serve(message, payload)
            else:
                assert self._request_handler is not None, "the connection is open"
                goes_on = await self._by_aiohttp(self._raw(message, payload), self._request_handler)
            if not payload.is_eof():
                goes_on = await self._linger(payload) and goes_on
            if not goes_on or self._close or self._force_close:
                break
            self._restart_idle_time()

    async def _next(self) -> tuple[RawRequestMessage | _ErrInfo, StreamReader]:
        """Wait for a request, and let the parser go on to the one after it."""
        if not self._messages:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message, payload = self._messages.popleft()
        if self._parser is not None:  # None: the client has left meanwhile
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        return message, payload

    async def _serve(self, message: RawRequestMessage, payload: StreamReader) -> bool:
        """Answer an ordinary request; return whether the connection may go on."""
        path, _, query = message.path.partition("?")
        raw: web.BaseRequest | None = None
        if payload.is_eof():
            body = partial(read_whole_body, payload)
        else:
            raw = self._current_request = self._raw(message, payload)
            body = partial(read_body, raw)
        request = Request(
            method=message.method,
            path=path,
            query=query,
            headers=message.headers,
            body=body,
            remote=self._remote,
        )
        self._request_in_progress = True
        try:
            response = await self._answer(request)
        except ClientGoneError:
            return False
        finally:
            self._request_in_progress, self._current_request = False, None
            if self._handler_waiter is not None:
                self._handler_waiter.set_result(None)
        if isinstance(response.body, bytes):
            return await self._send(message, response, response.body)
        raw = raw or self._raw(message, payload)
        return await self._by_aiohttp(raw, partial(self._send_stream, response))

    async def _send(self, message: RawRequestMessage, response: Response, body: bytes) -> bool:
        """Write an answer in one piece, and wait while the client does not take it."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return False
        head = head_of(message, response, body)
        bodiless = response.status in _BODILESS or message.method == "HEAD"
        transport.write(head if bodiless else head + body)
        if self._paused:
            with suppress(ConnectionError):
                await self._drain_helper()
        return not message.should_close

    async def _by_aiohttp(self, raw: web.BaseRequest, handler: Handler) -> bool:
        """Answer a request as aiohttp would; return whether the connection may go on."""
        try:
            response, client_left = await self._handle_request(raw, None, handler)
        except ConnectionError:
            return False
        return bool(response.keep_alive) and not client_left

    def _raw(self, message: RawRequestMessage, payload: StreamReader) -> web.BaseRequest:
        assert self._request_factory is not None, "the connection is open"
        assert self._task_handler is not None, "it runs this"
        writer = StreamWriter(self, self._loop)
        return self._request_factory(message, payload, self, writer, self._task_handler)

    async def _linger(self, payload: StreamReader) -> bool:
        """Take what still comes of a body that was refused, so that the client sees why; not for long."""
        if self._lingering_time and not self._force_close:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lingering_time):
                    while not payload.is_eof():
                        await payload.readany()
        return payload.is_eof()

    def _restart_idle_time(self) -> None:
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )


def head_of(message: RawRequestMessage, response: Response, body: bytes) -> bytes:
    """Return the status line and the headers of an answer.

    Raises:
        ValueError: a header holds the end of a line.
    """
    headers = response.headers
    headers["Server"] = SERVER
    if response.status not in _BODILESS:
        headers["Content-Length"] = str(len(body))
    headers["Date"] = rfc822_formatted_time()
    version = message.version
    if version == HttpVersion11:
        if message.should_close:
            headers["Connection"] = "close"
    elif not message.should_close:
        headers["Connection"] = "keep-alive"
    start = f"HTTP/{version.major}.{version.minor} {_REASONS[response.status]}"
    return _serialize_headers(start, headers)  # type: ignore[arg-type]  # any mapping does
