"""The transport `link` of `AsyncSpine`: what many tasks ask at once travels in one message.

Requests to one node share one WebSocket. By HTTP go streams, bodies of more than a megabyte, and
everything for a node that refuses the upgrade: an older one, or one that would refuse the request as well.
"""

import asyncio
import os
from functools import partial
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from memory_spine.aiohttp_transport import AiohttpTransport
from memory_spine.effects import Answer, AsyncParts, Request, Stream
from memory_spine.forks import renew_after_fork
from memory_spine.link import Link
from memory_spine.link_frames import BODY_BYTES_MAX, PATH
from memory_spine.network import NetworkOptions

HEARTBEAT_S = 5.0  # a connection whose node vanished is found by pings
CLOSE_S = 1.0  # for the node to say goodbye
ASK_AGAIN_S = 60.0  # a node without links may have been upgraded
ASK_AGAIN_SOON_S = 1.0  # one that refuses callers may take the next
_OF_CALLERS = frozenset({401, 403, 429, 500, 502, 503, 504})
_COMMON = ("Authorization", "Accept", "Content-Type")
_DIRECT = NetworkOptions()

_left_to_the_parent: list[object] = []  # never collected: their event loop is the parent's


def fits_on_link(request: Request) -> bool:
    """Whether a request may take a link: its node is known, and its body is not too large."""
    return bool(request.base) and (request.body is None or len(request.body) <= BODY_BYTES_MAX)


class Links:
    """The links of one event loop, one to each node; `http` has the sockets and makes them."""

    def __init__(self, http: AiohttpTransport, options: NetworkOptions) -> None:
        self._http, self._options = http, options
        self._links: dict[str, Link] = {}  # by address
        self._open: set[Link] = set()  # also those that are retired
        self._refused_until_s: dict[str, float] = {}

    def to(self, request: Request) -> Link | None:
        """Return the link that a request should take; None: it goes by HTTP.

        Raises:
            ConfigError: the environment names a proxy that is none.
        """
        base = request.base
        link = self._links.get(base)
        if link is not None:
            return link
        if self._refused_until_s.get(base, 0.0) > asyncio.get_running_loop().time():
            return None
        common = {name: request.headers[name] for name in _COMMON if name in request.headers}
        common["Content-Type"] = "application/json"
        dial = partial(self._dial, base, common, self._options.proxy_for(base))
        link = self._links[base] = Link(base, common, dial, self)
        self._open.add(link)
        return link

    async def close(self) -> None:
        """End all links."""
        await asyncio.gather(*(link.close() for link in self._open))

    def _dial(self, base: str, common: dict[str, str], proxy: str | None) -> Any:
        return self._http.session().ws_connect(
            URL(base + PATH, encoded=True),
            headers=common,
            heartbeat=HEARTBEAT_S,
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
            max_msg_size=0,  # an answer may be as large as by HTTP
            compress=0,
            proxy=proxy,
        )

    def retired(self, link: Link) -> None:
        """Dial anew for the next request."""
        if self._links.get(link.base) is link:
            del self._links[link.base]

    def ended(self, link: Link) -> None:
        """Forget it."""
        self._open.discard(link)

    def refused(self, link: Link, status: int) -> None:
        """Leave the node to HTTP for a while."""
        pause_s = ASK_AGAIN_SOON_S if status in _OF_CALLERS else ASK_AGAIN_S
        self._refused_until_s[link.base] = asyncio.get_running_loop().time() + pause_s


class LinkTransport:
    """Sends each request once. For the tasks of one event loop; a forked child opens its own links."""

    def __init__(self, options: NetworkOptions = _DIRECT) -> None:
        self._options = options
        self._http = AiohttpTransport(options)
        self._links: Links | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # of the links
        self._process = os.getpid()
        renew_after_fork(self)

    def __reduce__(self) -> tuple[type["LinkTransport"], tuple[NetworkOptions]]:
        return LinkTransport, (self._options,)

    async def send(self, request: Request) -> Answer:
        """Send one request; see `AsyncTransport.send`."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop or self._process != os.getpid():
            self._open(loop)
        assert self._links is not None, "opened above"
        link = self._links.to(request) if fits_on_link(request) else None
        if link is None:
            return await self._http.send(request)
        began_s = loop.time()
        outcome: asyncio.Future[Answer | None] = loop.create_future()
        number = link.ask(request, outcome)
        try:
            answer = await outcome
        finally:
            link.forget(number)
        if answer is None:  # the node gives no links
            left_s = request.timeout_s - (loop.time() - began_s)
            return await self._http.send(msgspec.structs.replace(request, timeout_s=left_s))
        return answer

    async def open(self, request: Request) -> Answer | Stream[AsyncParts]:
        """Send one request by HTTP; see `AsyncTransport.open`."""
        return await self._http.open(request)

    async def close(self) -> None:
        """Give up the links and connections."""
        if self._links is not None and self._process == os.getpid():
            await self._links.close()
        self._loop = None
        await self._http.close()

    def after_fork(self) -> None:
        """Leave the links to the parent; this process opens its own."""
        _left_to_the_parent.append((self._links, self._loop))
        self._links, self._loop = None, None
        self._process = os.getpid()

    def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin in this event loop, unless another one holds open links."""
        if self._process != os.getpid():  # forked by something that does not call Python's hooks
            self.after_fork()
        self._http.session()  # raises if another event loop has it open
        self._links, self._loop = Links(self._http, self._options), loop
