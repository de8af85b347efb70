"""The transport `link` of `Spine`: threads share the links of one event loop in the background.

What several threads ask while the loop is busy travels in one message. By HTTP go streams, large bodies
and nodes without links, as in `link_transport`.
"""

import asyncio
import os
import threading
import time
import weakref
from collections import deque
from concurrent.futures import Future

import msgspec

from memory_spine.aiohttp_transport import AiohttpTransport
from memory_spine.effects import Answer, Parts, Request, Stream
from memory_spine.errors import ConfigError, ConnectionFailed
from memory_spine.forks import Lock, renew_after_fork
from memory_spine.link_transport import Links, fits_on_link
from memory_spine.network import NetworkOptions
from memory_spine.urllib3_transport import Urllib3Transport

STOP_S = 5.0  # for the loop to end its links
SLACK_S = 5.0  # the loop keeps the time of a request; if it hangs, the thread does not
CLOSED = "the client was closed"
_DIRECT = NetworkOptions()

_left_to_the_parent: list[object] = []  # never collected: its thread does not exist here


class _Background:
    """A thread with an event loop and its links."""

    def __init__(self, options: NetworkOptions) -> None:
        self._options = options
        self._asked: deque[tuple[Request, Future[Answer | None]]] = deque()
        self._woken = self._closed = False
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event
        self._links: Links
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name="memory-spine-link", daemon=True
        )
        self._thread.start()
        started.wait(STOP_S)

    def ask(self, request: Request) -> Future[Answer | None]:
        """Send a request; many threads may ask while the loop is woken once."""
        outcome: Future[Answer | None] = Future()
        self._asked.append((request, outcome))
        if self._closed:
            self._refuse()
        elif not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._take)
            except RuntimeError:  # the loop has ended since
                self._refuse()
        return outcome

    def stop(self) -> None:
        """Let the loop end, from whatever thread."""
        if not self._closed:
            self._loop.call_soon_threadsafe(self._stopping.set)

    def close(self) -> None:
        """End the loop and wait for it."""
        self.stop()
        self._thread.join(STOP_S)

    def _run(self, started: threading.Event) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._serve(started))

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        http = AiohttpTransport(self._options)
        self._links = Links(http, self._options)
        started.set()
        await self._stopping.wait()
        self._closed = True
        self._refuse()
        await self._links.close()
        await http.close()

    def _take(self) -> None:
        self._woken = False  # first: what is asked from here on wakes again
        while self._asked:
            request, outcome = self._asked.popleft()
            try:
                link = self._links.to(request)
            except ConfigError as error:
                outcome.set_exception(error)
                continue
            if link is None:
                outcome.set_result(None)
            else:
                link.ask(request, outcome)

    def _refuse(self) -> None:
        while self._asked:
            request, outcome = self._asked.popleft()
            outcome.set_exception(ConnectionFailed(request.url, CLOSED, sent=False))


class BlockingLinkTransport:
    """Sends each request once. Safe for threads; a forked child opens links of its own."""

    def __init__(self, options: NetworkOptions = _DIRECT) -> None:
        self._options = options
        self._http = Urllib3Transport(options)
        self._lock = Lock()
        self._background: _Background | None = None
        self._process = os.getpid()
        renew_after_fork(self)

    def __reduce__(self) -> tuple[type["BlockingLinkTransport"], tuple[NetworkOptions]]:
        return BlockingLinkTransport, (self._options,)

    def send(self, request: Request) -> Answer:
        """Send one request; see `Transport.send`."""
        if not fits_on_link(request):
            return self._http.send(request)
        ends_s = time.monotonic() + request.timeout_s
        outcome = self._opened().ask(request)
        try:
            answer = outcome.result(request.timeout_s + SLACK_S)
        except TimeoutError as error:
            reason = "the event loop of the links does not work"
            raise ConnectionFailed(request.url, reason, sent=True) from error
        if answer is None:  # the node gives no links
            left_s = ends_s - time.monotonic()
            return self._http.send(msgspec.structs.replace(request, timeout_s=left_s))
        return answer

    def open(self, request: Request) -> Answer | Stream[Parts]:
        """Send one request by HTTP; see `Transport.open`."""
        return self._http.open(request)

    def close(self) -> None:
        """Give up the links and connections."""
        with self._lock:
            background, self._background = self._background, None
        if background is not None and self._process == os.getpid():
            background.close()
        self._http.close()

    def after_fork(self) -> None:
        """Leave the links to the parent; this process opens its own."""
        _left_to_the_parent.append(self._background)
        self._background = None
        self._process = os.getpid()

    def _opened(self) -> _Background:
        if self._process != os.getpid():  # forked by something that does not call Python's hooks
            self.after_fork()
        background = self._background
        if background is None:
            with self._lock:
                background = self._background
                if background is None:
                    background = self._background = _Background(self._options)
                    weakref.finalize(self, background.stop)  # a client need not be closed
        return background
