"""The listening socket: aiohttp's low-level server in front of `App`.

It uses neither `web.Application` nor the access log: measured, 22 µs CPU per GET against 27-31 µs with `web.Application` (performance.md). Bodies are
counted while they are read, and never inflated.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from ssl import SSLContext
from typing import Final

from aiohttp import web

from spine_core.errors import ProblemError
from spine_node.http.app import App
from spine_node.http.limits import HEADER_BYTES_MAX
from spine_node.http.messages import ClientGoneError, Request, Response, too_large
from spine_node.http.problems import problem_response

logger = logging.getLogger(__name__)

LINK_PATH: Final = "/node/v1/link"
GRACE_S: Final = 5.0  # for requests under way when the node stops; most take milliseconds
BACKLOG: Final = 1024  # connections that may wait: a fleet that reconnects at once
HEAD_S: Final = 30.0  # for the first request of a connection; strangers hold no socket for longer
LINGER_S: Final = 2.0  # to let a client see why its body was not read
SERVER: Final = "memory-spine"  # aiohttp would name itself and Python, with their versions

LinkHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class HttpServer:
    """A listening node."""

    def __init__(self, listener: asyncio.Server, server: "_Server") -> None:
        self.port: int = listener.sockets[0].getsockname()[1]
        self._listener = listener
        self._server = server

    async def close(self, grace_s: float = GRACE_S) -> None:
        """Accept no more, let requests under way end, then cut what is left."""
        self._listener.close()
        self._server.pre_shutdown()
        await self._server.shutdown(grace_s)
        await self._listener.wait_closed()


async def serve(
    app: App,
    link_handler: LinkHandler,
    *,
    host: str,
    port: int,
    tls: SSLContext | None = None,
    head_s: float = HEAD_S,
) -> HttpServer:
    """Listen; port 0 takes a free one. `link_handler` gets the WebSockets of other nodes."""
    loop = asyncio.get_running_loop()
    server = _Server(partial(_serve_one, app, link_handler), head_s)
    listener = await loop.create_server(server, host, port, ssl=tls, backlog=BACKLOG)
    return HttpServer(listener, server)


async def _serve_one(
    app: App, link_handler: LinkHandler, raw: web.BaseRequest
) -> web.StreamResponse:
    assert isinstance(raw.protocol, _Connection), "only our own server calls"
    raw.protocol.waiting.cancel()
    path, _, query = raw.raw_path.partition("?")
    if path == LINK_PATH:
        return await link_handler(raw)
    request = Request(
        method=raw.method,
        path=path,
        query=query,
        headers=raw.headers,
        body=partial(_read, raw),
        remote=raw.remote or "",
    )
    return _sent(await app.handle(request))


async def _read(raw: web.BaseRequest, bytes_max: int, deadline: float) -> bytes:
    """Return the whole body (`messages.ReadBody`)."""
    if (raw.content_length or 0) > bytes_max:
        raise too_large(bytes_max)
    try:
        if raw.content.is_eof():  # it came with the headers: nothing to wait for
            body = raw.content.read_nowait()
            _check_size(body, bytes_max)
            return body
        async with asyncio.timeout_at(deadline):
            return await _collect(raw, bytes_max)
    except TimeoutError as error:
        detail = "the body did not arrive in time"
        raise ProblemError("deadline-exceeded", detail, outcome="not-applied") from error
    except web.RequestPayloadError as error:
        raise ProblemError("invalid-request", "the body is framed wrongly") from error
    except ConnectionError as error:
        raise ClientGoneError from error


async def _collect(raw: web.BaseRequest, bytes_max: int) -> bytes:
    if raw.headers.get("Expect", "").lower() == "100-continue":
        await raw.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        raw.writer.output_size = 0  # what follows is the first byte of the real answer
    body = bytearray()
    async for piece in raw.content.iter_any():
        body += piece
        _check_size(body, bytes_max)
    return bytes(body)


def _check_size(body: bytes | bytearray, bytes_max: int) -> None:
    if len(body) > bytes_max:
        raise too_large(bytes_max)


def _sent(response: Response) -> web.Response:
    response.headers["Server"] = SERVER
    return web.Response(
        status=response.status, headers=response.headers, body=response.body or None
    )


class _Server(web.Server):
    """aiohttp's server, with our connections."""

    def __init__(self, handler: LinkHandler, head_s: float) -> None:
        super().__init__(handler)
        self._head_s = head_s

    def __call__(self) -> "_Connection":
        connection = _Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # None is what turns it off
            auto_decompress=False,  # a compressed body is refused: no bombs
            lingering_time=LINGER_S,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
        )
        connection.head_s = self._head_s
        return connection


class _Connection(web.RequestHandler):
    """One connection: closed when it asks for nothing, its protocol errors are problems as well."""

    head_s: float  # told by the server
    waiting: asyncio.TimerHandle  # for the first request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self.waiting = loop.call_later(self.head_s, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wait no more."""
        self.waiting.cancel()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature
    ) -> web.StreamResponse:
        """Answer bytes that are no HTTP, or a bug outside of `App`; then hang up.

        A client that left is neither; its answer goes nowhere.
        """
        if status == 400:
            problem = ProblemError(
                "invalid-request", "this is no valid HTTP, or a line is too long"
            )
        else:
            if not isinstance(exc, ClientGoneError):
                logger.error("connection_failed", exc_info=exc)
            problem = ProblemError("internal", "the node failed")
        response = _sent(problem_response(problem, "-", writes=False))
        response.force_close()
        return response
