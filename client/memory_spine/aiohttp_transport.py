"""The transport of `AsyncSpine`: aiohttp, opened by the first request inside its event loop."""

import asyncio
import ssl

import aiohttp
from yarl import URL

from memory_spine.effects import Answer, Request
from memory_spine.errors import ConfigError, ConnectionFailed
from memory_spine.tls import handshake_failure

_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


class AiohttpTransport:
    """Sends each request once. For the tasks of one event loop."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # of the session

    async def send(self, request: Request) -> Answer:
        """Send one request; see `AsyncTransport.send`."""
        try:
            async with self._opened().request(
                request.method,
                URL(request.url, encoded=True),
                data=request.body,
                headers=request.headers,
                timeout=aiohttp.ClientTimeout(total=request.timeout_s),
                allow_redirects=False,
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            tls = handshake_failure(error.__cause__)
            reason = tls or str(error) or f"no answer within {request.timeout_s:.1f} s"
            sent = not isinstance(error, _NOT_SENT)
            raise ConnectionFailed(request.url, reason, sent=sent) from error
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(status=answer.status, headers=headers, body=body)

    async def close(self) -> None:
        """Give up the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None or self._session.closed:
            self._loop = loop
            tls = True if self._tls is None else self._tls
            # No limit: the caller's tasks are the limit, and a queue here would eat their timeout.
            connector = aiohttp.TCPConnector(ssl=tls, limit=0)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        if self._loop is not loop:
            raise ConfigError("this client was used in another event loop: make one in each")
        return self._session
