"""Connections: aiohttp's protocol with time limits, a limit of their number, and our own refusals."""

import asyncio
import fcntl
import logging
import sys
import termios
from collections.abc import Callable, Iterator
from heapq import nsmallest
from operator import itemgetter
from typing import Final, NamedTuple, Protocol

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong
from aiohttp.web_protocol import _ErrInfo

from spine_core.errors import ProblemError
from spine_node.http.connection_limit import ConnectionLimit
from spine_node.http.limits import HEADER_BYTES_MAX, HEADERS_MAX
from spine_node.http.messages import ClientGoneError
from spine_node.http.request_loop import Answer, Handler, RequestLoop, SendStream

logger = logging.getLogger(__name__)

TOO_LONG: Final = (
    f"the URL or a header has more than {HEADER_BYTES_MAX} bytes: send a long filter with"
    " POST to …/memories:query, merge session tokens with POST /v1/session:merge"
)
TOO_MANY_HEADERS: Final = f"there are more than {HEADERS_MAX} headers"
LINK_PATH: Final = "/node/v1/link"
CLIENT_LINK_PATH: Final = "/v1/link"
LINGER_S: Final = 2.0  # to let a client see why its body was not read


class Timeouts(NamedTuple):
    """How long a connection waits for its client."""

    head_s: float = 30.0  # for the first request; unauthenticated connections are closed after this
    reader_s: float = 30.0  # without one byte taken off us, the reader of an answer is given up
    link_s: float = 30.0  # a link whose client says nothing is closed; it pings every few seconds


Refuse = Callable[[ProblemError], web.StreamResponse]


class Connections(web.Server):
    """All connections of one listening node.

    Args:
        answer: answers an ordinary request.
        send_stream: sends an answer of unknown length.
        handler: answers what is none: an upgrade, or http on a port for https.
        refuse: makes the answer to what never became a request; it ends the connection.
    """

    def __init__(
        self,
        answer: Answer,
        send_stream: SendStream,
        handler: Handler,
        refuse: Refuse,
        limit: ConnectionLimit,
        timeouts: Timeouts,
    ) -> None:
        super().__init__(handler)
        self.answer = answer
        self.send_stream = send_stream
        self.refuse = refuse
        self.timeouts = timeouts
        self.undecided = 0  # connections whose protocol is not known yet
        self._limit = limit

    def __call__(self) -> "Connection":
        """Return the protocol of a new connection."""
        return Connection(self)

    def plain(self) -> "Connection":
        """Return the protocol of a connection that speaks http on a port for https."""
        return Connection(self, plain=True)

    def enforce_limit(self, refuse: Callable[[], object]) -> None:
        """Close the connections that have been idle for longest, if there are too many.

        Where none is idle, `refuse` closes the new one.

        All are looked at, which is dear, but only when there are too many; to keep them in order
        would cost every request something.
        """
        excess = self._limit.excess(len(self._connections) + self.undecided)
        if not excess:
            return
        oldest = nsmallest(excess, self._idle(), key=itemgetter(0))
        for _since, connection in oldest:
            connection.force_close()
        if not oldest:
            refuse()
        self._limit.note(idle=len(oldest), refused=not oldest)

    def _idle(self) -> Iterator[tuple[float, "Connection"]]:
        for connection in self._connections:
            assert isinstance(connection, Connection), "only we make them"
            if connection.is_idle:  # a new one is not, before it has begun to wait
                yield connection.idle_since, connection


class Link(Protocol):
    """Many requests on one connection (`client_link`)."""

    idle_since: float | None  # seconds of the loop's clock; None: requests are under way

    async def stop(self, grace_s: float) -> None:
        """Ask the client to go, let requests under way end, then hang up."""


class Connection(RequestLoop):
    """One connection: bounded while it is silent or does not read; its protocol errors are problems."""

    waiting: asyncio.TimerHandle  # for the first request

    def __init__(self, server: Connections, *, plain: bool = False) -> None:
        super().__init__(
            server,
            server.answer,
            server.send_stream,
            access_log=None,
            auto_decompress=False,  # a compressed body is refused: no bombs
            lingering_time=LINGER_S,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
        )
        self.plain = plain
        self.timeouts = server.timeouts
        self._server = server
        self._reader_check: asyncio.TimerHandle | None = None
        self.streaming: asyncio.Task[object] | None = None  # sends an answer of unknown length
        self.link: Link | None = None  # what it has become by an upgrade

    @property
    def is_idle(self) -> bool:
        """Whether the connection waits for a request."""
        if self.link is not None:
            return self.link.idle_since is not None and not self._force_close
        return self._waiter is not None and not self._waiter.done() and not self._force_close

    @property
    def idle_since(self) -> float:
        """When the last answer had been sent, in seconds of the loop's clock."""
        if self.link is not None and self.link.idle_since is not None:
            return self.link.idle_since
        return self._next_keepalive_close_time - self._keepalive_timeout

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time-out of the first request, and enforce the limit of connections."""
        super().connection_made(transport)
        self.waiting = self._loop.call_later(self._server.timeouts.head_s, self.force_close)
        self._server.enforce_limit(self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Cancel the timers, and the stream that nobody reads any more."""
        self.waiting.cancel()
        self._stop_reader_check()
        if self.streaming is not None:
            self.streaming.cancel()
        super().connection_lost(exc)

    def asked(self) -> None:
        """Stop the time-out of the first request."""
        self.waiting.cancel()

    def is_ordinary(self, message: RawRequestMessage) -> bool:
        """Whether the app answers the request: it speaks what the port speaks, and is no link."""
        links = (LINK_PATH, CLIENT_LINK_PATH)
        return not self.plain and not self._upgraded and not message.path.startswith(links)

    def data_received(self, data: bytes) -> None:
        """Parse; fail the body that is being read when its framing breaks.

        aiohttp answers it only after the request under way, which waits for this very body.
        """
        super().data_received(data)
        request = self._current_request
        if request is None or not self._messages:
            return
        if isinstance(self._messages[-1][0], _ErrInfo) and not request.content.is_eof():
            self._lingering_time = 0.0  # nothing more can be read
            request.content.set_exception(web.RequestPayloadError("framed wrongly"))

    def pause_writing(self) -> None:
        """Start to check that the client reads: the send buffer is full."""
        super().pause_writing()
        self._check_reader(None)

    def resume_writing(self) -> None:
        """Stop the check: the send buffer has space again."""
        self._stop_reader_check()
        super().resume_writing()

    def _check_reader(self, unsent_before: int | None) -> None:
        """Abort the connection if its client took nothing since the last check; a slow one may go on."""
        transport = self.transport
        if transport is None:
            return
        unsent = transport.get_write_buffer_size() + unacknowledged(transport)
        if unsent == unsent_before:
            logger.info("reader_given_up", extra={"unsent_bytes": unsent})
            transport.abort()
            return
        self._reader_check = self._loop.call_later(
            self._server.timeouts.reader_s, self._check_reader, unsent
        )

    def _stop_reader_check(self) -> None:
        if self._reader_check is not None:
            self._reader_check.cancel()
            self._reader_check = None

    def close(self) -> None:
        """Take no more requests; a link has to be told before its client stops to send them."""
        if self.link is None:
            super().close()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's
        """Let the request under way end, or the link, and close."""
        if self.link is not None:
            await self.link.stop(timeout or 0.0)
        await super().shutdown(timeout)

    def abort(self) -> None:
        """Close at once, without the end of the answer, so that it does not look complete."""
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer bytes that are no HTTP, or a bug outside of `App`; then hang up.

        A client that left is neither; its answer goes nowhere.
        """
        if request.writer.output_size:
            raise ClientGoneError from exc  # an answer is half sent: nothing can be said any more
        if status == 400:
            problem = ProblemError("invalid-request", reason_of(exc, message or ""))
        else:
            if not isinstance(exc, ClientGoneError):
                logger.error("connection_failed", exc_info=exc)
            problem = ProblemError("internal", "the node failed")
        return self._server.refuse(problem)


def unacknowledged(transport: asyncio.Transport) -> int:
    """Return the bytes that the kernel holds for the client.

    Without them a slow client looks dead: some megabytes go from kernel to kernel before a byte of
    ours moves.
    """
    count = bytearray(4)
    try:
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, count)
    except OSError:  # no TCP socket, or no system that tells
        return 0
    return int.from_bytes(count, sys.byteorder)


def reason_of(error: BaseException | None, message: str) -> str:
    """Return what is wrong with a request that the parser refused, and the cure where there is one."""
    if isinstance(error, LineTooLong):
        return TOO_LONG
    if "Too many headers" in message:
        return TOO_MANY_HEADERS
    if isinstance(error, BadHttpMethod) and "HTTPS" in message:
        return "this port speaks http, and the client speaks https"
    if isinstance(error, BadHttpMethod):
        return "this is no HTTP request, or no method of HTTP"
    return "this is no valid HTTP request"
