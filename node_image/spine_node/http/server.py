"""The listening socket: aiohttp's low-level server in front of `App`.

It uses neither `web.Application` nor the access log, and `request_loop` answers ordinary requests itself:
what comes to this module's handlers is an upgrade or a stream. Bodies are counted while they are read,
and never inflated.
"""

import asyncio
from contextlib import aclosing
from functools import partial
from ssl import SSLContext
from typing import Final

from aiohttp import web

from spine_core.errors import ProblemError
from spine_node.http.app import App
from spine_node.http.client_link import ClientLinks
from spine_node.http.connection import LINK_PATH, Connection, Connections, Timeouts
from spine_node.http.connection_limit import ConnectionLimit
from spine_node.http.messages import Request, Response
from spine_node.http.request_body import read_body
from spine_node.http.request_loop import SERVER, Handler
from spine_node.http.tls_listener import TlsListener, bind

GRACE_S: Final = 5.0  # for requests under way when the node stops; most take milliseconds
BACKLOG: Final = 1024  # connections that may wait: a fleet that reconnects at once
PLAIN: Final = "this port speaks https, and the client speaks http"


class HttpServer:
    """A listening node."""

    def __init__(
        self,
        listener: asyncio.Server | TlsListener,
        connections: Connections,
        client_links: ClientLinks,
    ) -> None:
        self.port: int = listener.sockets[0].getsockname()[1]
        self._listener = listener
        self._connections = connections
        self._client_links = client_links

    async def close(self, grace_s: float = GRACE_S) -> None:
        """Accept no more, let requests under way end, then cut what is left."""
        self._listener.close()
        self._connections.pre_shutdown()
        await self._connections.shutdown(grace_s)
        await self._client_links.close()
        await self._listener.wait_closed()


async def serve(
    app: App,
    link_handler: Handler,
    *,
    address: tuple[str, int],
    limit: ConnectionLimit,
    tls: SSLContext | None = None,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
) -> HttpServer:
    """Listen on (host, port); port 0 takes a free one. `link_handler` gets other nodes' WebSockets."""
    loop = asyncio.get_running_loop()
    host, port = address
    client_links = ClientLinks(app)
    connections = Connections(
        app.handle,
        _streamed,
        partial(_serve_one, app, link_handler, client_links),
        partial(_refuse, app),
        limit,
        timeouts,
    )
    if tls is not None:
        sockets = await bind(host, port, BACKLOG)
        return HttpServer(TlsListener(sockets, connections, tls), connections, client_links)
    listener = await loop.create_server(connections, host, port, backlog=BACKLOG)
    return HttpServer(listener, connections, client_links)


async def _serve_one(
    app: App, link_handler: Handler, client_links: ClientLinks, raw: web.BaseRequest
) -> web.StreamResponse:
    assert isinstance(raw.protocol, Connection), "only our own server calls"
    if raw.protocol.plain:
        return _refuse(app, ProblemError("invalid-request", PLAIN))
    path, _, query = raw.raw_path.partition("?")
    if path == LINK_PATH:
        return await link_handler(raw)
    request = Request(
        method=raw.method,
        path=path,
        query=query,
        headers=raw.headers,
        body=partial(read_body, raw),
        remote=raw.remote or "",
    )
    response = await app.handle(request)
    if response.status == 101:
        return await client_links.serve(raw, request) or _refuse(app, _no_upgrade())
    if isinstance(response.body, bytes):
        return _whole(response, response.body)
    return await _streamed(response, raw)


def _refuse(app: App, problem: ProblemError) -> web.StreamResponse:
    response = app.refusal(problem)
    answer = _whole(response, response.content)
    answer.force_close()
    return answer


def _no_upgrade() -> ProblemError:
    return ProblemError("invalid-request", "this is no valid upgrade to a WebSocket")


def _whole(response: Response, body: bytes) -> web.Response:
    response.headers["Server"] = SERVER
    return web.Response(status=response.status, headers=response.headers, body=body or None)


async def _streamed(response: Response, raw: web.BaseRequest) -> web.StreamResponse:
    """Send a body of unknown length as it comes: the next piece is asked for when the client takes it.

    The iterator is closed however this ends: at its own end, when the client leaves (which cancels
    this task), when it does not read (`Connection`), when the node stops. One that fails cuts the
    connection, so that what was sent does not look complete.
    """
    connection, body = raw.protocol, response.body
    assert isinstance(connection, Connection), "only our own server calls"
    assert not isinstance(body, bytes), "its route streams"
    response.headers["Server"] = SERVER
    answer = web.StreamResponse(status=response.status, headers=response.headers)
    async with aclosing(body):
        await answer.prepare(raw)
        if raw.method == "HEAD":
            return answer
        connection.streaming = asyncio.current_task()
        try:
            async for piece in body:
                await answer.write(piece)
        except Exception:
            connection.abort()
            raise
        finally:
            connection.streaming = None
    await answer.write_eof()
    return answer
