"""The proxy itself: plain HTTP on a loopback port in front, the real server behind.

Streams pass through byte by byte. What the client leaves is let go of behind, too.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from agents.clock import pause
from faultproxy.background import BackgroundLoop
from faultproxy.faults import Cut, Delay, Fault, Refuse, Request, Rule, request_of

# Of one connection, not of the request on it: RFC 9110 §7.6.1.
_HOP_BY_HOP: Final = ("Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Host")


class FaultProxy:
    """In front of `upstream`, whose certificate `tls` trusts. Counts every request that arrives."""

    def __init__(
        self, background: BackgroundLoop, upstream: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self._background, self._upstream, self._tls = background, upstream, tls
        self._rules: tuple[Rule, ...] = ()  # oldest first; replaced, never changed: two threads
        self._streams: set[asyncio.Transport] = set()
        self.counts: Counter[Request] = Counter()
        self.url = ""

    def __enter__(self) -> Self:
        self._background.call(self._open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._background.call(self._close())

    @contextmanager
    def rules(self, *rules: Rule) -> Iterator[None]:
        """Have rules for a while; of several that strike, the first counts."""
        before, self._rules = self._rules, (*self._rules, *rules)
        try:
            yield
        finally:
            self._rules = before

    def cut_streams(self) -> int:
        """Cut every stream that is open now; return how many there were."""
        return self._background.call(self._cut_streams())

    async def _open(self) -> None:
        connector = aiohttp.TCPConnector(ssl=self._tls or True, limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, connect=5),
            auto_decompress=False,
        )
        server = web.Server(self._serve, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _cut_streams(self) -> int:
        cut = list(self._streams)
        for transport in cut:
            transport.abort()
        return len(cut)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        streams = request.query.get("watch") in ("1", "true")
        seen = request_of(request.method, request.path, streams=streams)
        self.counts[seen] += 1
        body = await request.read()
        match self._fault_for(seen):
            case Refuse(status=status, retry_after_s=after):
                headers = {} if after is None else {"Retry-After": str(after)}
                return web.json_response({"message": "refused"}, status=status, headers=headers)
            case Cut(forwarded=forwarded, strike=strike):
                if forwarded:
                    async with self._forward(request, body) as answer:
                        await answer.read()
                strike()
                return _hang_up(request)
            case Delay(seconds=seconds):
                await pause(seconds)
        return await self._pass_on(request, body, streams=streams)

    def _fault_for(self, request: Request) -> Fault | None:
        """Let every rule count the request; return the first fault."""
        struck = [rule.fault for rule in self._rules if rule.strikes(request)]
        return struck[0] if struck else None

    async def _pass_on(
        self, request: web.BaseRequest, body: bytes, *, streams: bool
    ) -> web.StreamResponse:
        try:
            async with self._forward(request, body) as answer:
                headers = _end_to_end(answer.headers)
                response = web.StreamResponse(status=answer.status, headers=headers)
                await response.prepare(request)
                with self._counted_as_stream(request) if streams else nullcontext():
                    async for chunk in answer.content.iter_any():
                        await response.write(chunk)
                await response.write_eof()
                return response
        except aiohttp.ClientError:  # either side has hung up
            return _hang_up(request)

    def _forward(
        self, request: web.BaseRequest, body: bytes
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self._session.request(
            request.method,
            URL(self._upstream + request.raw_path, encoded=True),
            headers=_end_to_end(request.headers),
            data=body or None,
            allow_redirects=False,
        )

    @contextmanager
    def _counted_as_stream(self, request: web.BaseRequest) -> Iterator[None]:
        transport = request.transport
        assert transport is not None, "its answer has just begun"
        self._streams.add(transport)
        try:
            yield
        finally:
            self._streams.discard(transport)


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    kept = headers.copy()
    for name in _HOP_BY_HOP:
        kept.popall(name, None)
    return kept


def _hang_up(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)  # nobody reads it
