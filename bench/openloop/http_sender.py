"""HTTP/1.1 over raw sockets for an open loop: about 15 µs of client CPU an operation."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from bench.memory import AFTER_ID, BEFORE_ID, VALUE_BYTES, memory_id
from bench.openloop.schedule import Operation
from bench.systems.spine import PATH

CONNECTIONS = 32  # to each node
Done = Callable[[Operation, bool], None]

_GET = f"GET {PATH}/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nSpine-Consistency: eventual\r\n\r\n"
_PUT = (
    f"PUT {PATH}/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    f"Content-Length: {VALUE_BYTES}\r\n\r\n{BEFORE_ID}%s{AFTER_ID}"
)
_LENGTH = b"\r\nContent-Length: "


class _Connection(asyncio.Protocol):
    """One connection with one request in flight."""

    def __init__(self, free: Callable[["_Connection"], None]) -> None:
        self._free = free
        self._open: tuple[Operation, Done] | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self._free(self)

    def request(self, data: bytes, operation: Operation, done: Done) -> None:
        self._open = (operation, done)
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._buffer.index(_LENGTH) + len(_LENGTH)
        length = int(self._buffer[at : self._buffer.index(b"\r\n", at)])
        if len(self._buffer) < end + 4 + length:
            return
        good = self._buffer[9:10] == b"2"
        self._buffer = b""
        assert self._open is not None, "an answer follows a request"
        operation, done = self._open
        self._open = None
        done(operation, good)
        self._free(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - given by asyncio
        if self._open is not None:
            operation, done = self._open
            self._open = None
            done(operation, False)


class HttpSender:
    """Operations go to the nodes in turn; one that finds no free connection waits in line."""

    def __init__(self, prefix: str, keys: int) -> None:
        self._prefix, self._keys = prefix, keys
        self._idle: list[deque[_Connection]] = []
        self._waiting: list[deque[tuple[Operation, Done]]] = []

    async def connect(self, addresses: Sequence[str]) -> None:
        """Open all connections."""
        loop = asyncio.get_running_loop()
        for node, address in enumerate(addresses):
            self._idle.append(deque())
            self._waiting.append(deque())
            host, port = address.split(":")
            for _ in range(CONNECTIONS):
                one = _Connection(partial(self._free, node))
                await loop.create_connection(lambda one=one: one, host, int(port))  # type: ignore[misc]

    def send(self, operation: Operation, done: Done) -> None:
        """Send it to its node."""
        node = operation.number % len(self._idle)
        if self._idle[node]:
            self._idle[node].popleft().request(self._bytes(operation), operation, done)
        else:
            self._waiting[node].append((operation, done))

    def _free(self, node: int, connection: _Connection) -> None:
        if self._waiting[node]:
            operation, done = self._waiting[node].popleft()
            connection.request(self._bytes(operation), operation, done)
        else:
            self._idle[node].append(connection)

    def _bytes(self, operation: Operation) -> bytes:
        if operation.write:
            identity = memory_id(self._prefix, operation.number)
            return (_PUT % (identity, identity)).encode()
        return (_GET % memory_id("fill", operation.number * 7919 % self._keys)).encode()
