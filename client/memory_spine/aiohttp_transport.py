"""The transport of `AsyncSpine`: aiohttp, opened by the first request inside its event loop."""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
from yarl import URL

from memory_spine.effects import Answer, AsyncParts, Request, Stream
from memory_spine.errors import ConfigError, ConnectionFailed
from memory_spine.forks import OwnedSockets, renew_after_fork
from memory_spine.network import NetworkOptions
from memory_spine.tls import handshake_failure, hint_of_tls, tls_context

_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_NOT_UNDERSTOOD = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientResponseError,
    aiohttp.ClientOSError,  # a reset
)
# A connection gives up before its request does, so that one which never stood is told from a
# request that may have arrived.
_CONNECT_SHARE = 0.9
_DIRECT = NetworkOptions()

_left_to_the_parent: list[object] = []  # never collected: their event loop is the parent's


class AiohttpTransport:
    """Sends each request once. For the tasks of one event loop; a forked child opens its own."""

    def __init__(self, options: NetworkOptions = _DIRECT) -> None:
        self._options = options
        self._sockets = OwnedSockets()
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # of the session
        self._process = os.getpid()
        renew_after_fork(self)

    def __reduce__(self) -> tuple[type["AiohttpTransport"], tuple[NetworkOptions]]:
        return AiohttpTransport, (self._options,)

    async def send(self, request: Request) -> Answer:
        """Send one request; see `AsyncTransport.send`."""
        session = self.session()
        with _failures(request) as progress:
            async with asyncio.timeout(request.timeout_s):
                async with self._request(session, request) as answer:
                    progress.begun(answer)
                    body = await answer.read()
        return Answer(status=answer.status, headers=_headers(answer), body=body)

    async def open(self, request: Request) -> Answer | Stream[AsyncParts]:
        """Send one request and let its answer come in parts; see `AsyncTransport.open`."""
        session = self.session()
        with _failures(request) as progress:
            async with asyncio.timeout(request.timeout_s):
                answer = await self._request(session, request)
                progress.begun(answer)
                if answer.status >= 300:
                    async with answer:
                        body = await answer.read()
                    return Answer(status=answer.status, headers=_headers(answer), body=body)
        chunks = _chunks(answer, request)
        return Stream(status=answer.status, headers=_headers(answer), chunks=chunks)

    async def close(self) -> None:
        """Give up the connections."""
        if self._session is not None and self._process == os.getpid():
            await self._session.close()

    def after_fork(self) -> None:
        """Leave the connections to the parent; this process opens its own."""
        if self._session is not None:
            _left_to_the_parent.append((self._session.connector, self._loop))
            self._session.detach()
        self._session = None
        self._loop = None
        self._process = os.getpid()

    def _request(self, session: aiohttp.ClientSession, request: Request) -> Any:
        first_byte_s = min(request.timeout_s, request.first_byte_s or request.timeout_s)
        return session.request(
            request.method,
            URL(request.url, encoded=True),
            data=request.body,
            headers=request.headers,
            timeout=aiohttp.ClientTimeout(
                connect=first_byte_s * _CONNECT_SHARE,
                sock_read=first_byte_s,  # counts from the end of the request
                ceil_threshold=float("inf"),  # not rounded up to whole seconds
            ),
            proxy=self._options.proxy_for(request.url),
            allow_redirects=False,
        )

    def session(self) -> aiohttp.ClientSession:
        """Return the session of this event loop and process; it has all their connections.

        Raises:
            ConfigError: another event loop has it open.
        """
        if self._process != os.getpid():  # forked by something that does not call Python's hooks
            self.after_fork()
        loop = asyncio.get_running_loop()
        if self._session is None or self._session.closed:
            self._loop = loop
            # No limit: the caller's tasks are the limit, and a queue here would eat their timeout.
            connector = aiohttp.TCPConnector(
                ssl=tls_context(self._options.ca_file) or True,
                limit=0,
                socket_factory=self._new_socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        if self._loop is not loop:
            raise ConfigError("this client was used in another event loop: make one in each")
        return self._session

    def _new_socket(self, address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        self._sockets.add(made)
        return made


async def _chunks(answer: aiohttp.ClientResponse, request: Request) -> AsyncParts:
    try:
        while True:
            with _failures(request) as progress:
                progress.answered = True
                async with asyncio.timeout(request.timeout_s):
                    chunk = await answer.content.readany()
            if not chunk:
                return
            yield chunk
    finally:
        answer.close()  # its connection has perhaps not been read to the end


class _Progress:
    """How far one request has come."""

    answered = False
    _transport: asyncio.Transport | None = None

    def begun(self, answer: aiohttp.ClientResponse) -> None:
        """The answer has begun: only the deadline counts now, not aiohttp's limit of inactivity."""
        self.answered = True
        connection = answer.connection  # None: the answer is here already
        if connection is not None and connection.protocol is not None:
            connection.protocol.read_timeout = None
            self._transport = connection.transport

    def abort(self) -> None:
        """Drop the connection now; with TLS, closing it would wait for the node to say goodbye."""
        if self._transport is not None:
            self._transport.abort()


@contextmanager
def _failures(request: Request) -> Iterator[_Progress]:
    """Turn what aiohttp and the deadline raise into `ConnectionFailed`."""
    progress = _Progress()
    try:
        yield progress
    except (aiohttp.ClientError, TimeoutError) as error:
        progress.abort()
        sent = not isinstance(error, _NOT_SENT)
        reason = reason_of(error, request, answered=progress.answered)
        raise ConnectionFailed(request.url, reason, sent=sent) from error


def reason_of(error: Exception, request: Request, *, answered: bool = False) -> str:
    """Say why a request failed."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError) and (handshake := handshake_failure(cause)) is not None:
        return handshake
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection within {request.first_byte_s or request.timeout_s:.1f} s"
    if isinstance(error, TimeoutError) and not answered:
        return f"no answer within {request.first_byte_s or request.timeout_s:.1f} s"
    if isinstance(error, TimeoutError):
        return f"no whole answer within {request.timeout_s:.1f} s"
    # A server that hung up without a word, or answered with what is no HTTP: perhaps a TLS alert.
    if isinstance(error, _NOT_UNDERSTOOD) and not isinstance(error, _NOT_SENT):
        return f"{error}{hint_of_tls(request.url)}"
    return str(error)


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}
