"""The transport of `Spine`: urllib3, one pool of connections for all nodes."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from memory_spine.connections import POOLS, current
from memory_spine.deadline import Clock, Deadline
from memory_spine.effects import Answer, Parts, Request, Stream
from memory_spine.errors import ConnectionFailed
from memory_spine.forks import renew_after_fork
from memory_spine.network import NetworkOptions
from memory_spine.tls import handshake_failure, hint_of_tls, tls_context

_CONNECTIONS_PER_NODE = 32  # more threads than that open connections which are not kept
_CHUNK_BYTES_MAX = 64 * 1024  # of a stream; a chunk is whatever has come, up to this
_DIRECT = NetworkOptions()

_left_to_the_parent: list[object] = []  # never collected: closing them may wait for a lost lock


class Urllib3Transport:
    """Sends each request once. Safe for threads; a forked child opens connections of its own."""

    def __init__(
        self, options: NetworkOptions = _DIRECT, *, monotonic_s: Clock = time.monotonic
    ) -> None:
        self._options = options
        self._monotonic_s = monotonic_s
        self._managers: dict[str | None, urllib3.PoolManager] = {}  # by proxy
        self._process = os.getpid()
        renew_after_fork(self)

    def __reduce__(self) -> tuple[type["Urllib3Transport"], tuple[NetworkOptions]]:
        return Urllib3Transport, (self._options,)

    def send(self, request: Request) -> Answer:
        """Send one request; see `Transport.send`."""
        with self._failures(request) as deadline:
            answer = self._begin(request, deadline)
            body = answer.read()
            answer.release_conn()
        return Answer(status=answer.status, headers=_headers(answer), body=body)

    def open(self, request: Request) -> Answer | Stream[Parts]:
        """Send one request and let its answer come in parts; see `Transport.open`."""
        with self._failures(request) as deadline:
            answer = self._begin(request, deadline)
            if answer.status >= 300:
                return Answer(status=answer.status, headers=_headers(answer), body=answer.read())
        chunks = self._chunks(answer, request, deadline)
        return Stream(status=answer.status, headers=_headers(answer), chunks=chunks)

    def close(self) -> None:
        """Give up the connections."""
        for manager in list(self._managers.values()):
            manager.clear()

    def after_fork(self) -> None:
        """Leave the connections to the parent; this process opens its own."""
        _left_to_the_parent.extend(self._managers.values())
        self._managers = {}
        self._process = os.getpid()

    def _begin(self, request: Request, deadline: Deadline) -> urllib3.BaseHTTPResponse:
        if self._process != os.getpid():  # forked by something that does not call Python's hooks
            self.after_fork()
        current.deadline = deadline
        return self._manager(self._options.proxy_for(request.url)).request(
            request.method,
            request.url,
            body=request.body,
            headers=request.headers,
            timeout=urllib3.Timeout(request.timeout_s),  # the deadline is nearer, in every part
            redirect=False,
            preload_content=False,
        )

    def _manager(self, proxy: str | None) -> urllib3.PoolManager:
        if (manager := self._managers.get(proxy)) is None:
            tls = tls_context(self._options.ca_file)
            if proxy is None:
                made = urllib3.PoolManager(
                    maxsize=_CONNECTIONS_PER_NODE, retries=False, ssl_context=tls
                )
            else:
                made = urllib3.ProxyManager(
                    proxy, maxsize=_CONNECTIONS_PER_NODE, retries=False, ssl_context=tls
                )
            made.pool_classes_by_scheme = POOLS
            manager = self._managers.setdefault(proxy, made)  # of two threads, one
        return manager

    def _chunks(
        self, answer: urllib3.BaseHTTPResponse, request: Request, deadline: Deadline
    ) -> Parts:
        with self._failures(request, deadline):
            try:
                deadline.renew()
                while chunk := answer.read1(_CHUNK_BYTES_MAX):
                    yield chunk
                    deadline.renew()
            finally:
                answer.close()  # its connection has perhaps not been read to the end

    @contextmanager
    def _failures(self, request: Request, deadline: Deadline | None = None) -> Iterator[Deadline]:
        """Turn what urllib3 and the deadline raise into `ConnectionFailed`."""
        deadline = deadline or Deadline(request, self._monotonic_s)
        try:
            yield deadline
        except (HTTPError, TimeoutError) as error:
            reason = _reason(error, deadline, request.url)
            raise ConnectionFailed(request.url, reason, sent=deadline.sent) from error


def _reason(error: HTTPError | TimeoutError, deadline: Deadline, url: str) -> str:
    cause = error.args[0] if error.args else None
    if (handshake := handshake_failure(cause)) is not None:
        return handshake
    if _by_time(error) and deadline.expired is not None:
        return deadline.expired
    text = str(error).rsplit("): ", 1)[-1]  # without its name for the connection
    # A server that hung up without a word, or answered with what is no HTTP: perhaps a TLS alert.
    return text + (hint_of_tls(url) if isinstance(error, ProtocolError) else "")


def _by_time(error: HTTPError | TimeoutError) -> bool:
    if isinstance(error, ConnectTimeoutError):
        return not isinstance(error, NewConnectionError)  # which urllib3 derives from it
    kinds = (TimeoutError, ReadTimeoutError)
    return isinstance(error, kinds) or any(isinstance(cause, kinds) for cause in error.args)


def _headers(answer: urllib3.BaseHTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}
