"""A TLS listener that answers plain HTTP with a clear error.

asyncio's own server hangs up on them with a TLS alert, which no HTTP client shows to its user. So
connections are accepted here, their first byte is looked at and left where it is, and only then they
are given to the loop: as TLS, or as plain HTTP that is answered with a refusal and nothing else.
"""

import asyncio
import logging
import socket
import ssl
from typing import Final

from spine_node.http.connection import Connections

logger = logging.getLogger(__name__)

_HANDSHAKE: Final = b"\x16"  # first byte of a TLS record that says hello
_RETRY_S: Final = 0.5  # after the system gave us no descriptor for a connection


class TlsListener:
    """The listening sockets of a node with certificates."""

    def __init__(
        self, sockets: list[socket.socket], connections: Connections, tls: ssl.SSLContext
    ) -> None:
        self.sockets = sockets
        self._connections = connections
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._undecided: dict[
            asyncio.Task[None], None
        ] = {}  # connections whose protocol is unknown, oldest first
        for listening in sockets:
            listening.setblocking(False)
            self._loop.add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Accept no more, and close connections whose protocol is not known yet."""
        for listening in self.sockets:
            self._loop.remove_reader(listening)
            listening.close()
        for task in self._undecided:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until nothing is left of what `close` ended."""
        await asyncio.gather(*self._undecided, return_exceptions=True)

    def _accept(self, listening: socket.socket) -> None:
        try:
            client, _address = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            logger.warning("accept_failed", extra={"reason": str(error)})
            self._loop.remove_reader(listening)  # it would call again at once, for ever
            self._loop.call_later(_RETRY_S, self._accept_again, listening)
            return
        client.setblocking(False)
        task = self._loop.create_task(self._detect(client))
        self._undecided[task] = None
        task.add_done_callback(self._decided)
        self._connections.undecided = len(self._undecided)
        self._connections.enforce_limit(next(iter(self._undecided)).cancel)

    def _accept_again(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            self._loop.add_reader(listening, self._accept, listening)

    def _decided(self, task: asyncio.Task[None]) -> None:
        del self._undecided[task]
        self._connections.undecided = len(self._undecided)

    async def _detect(self, client: socket.socket) -> None:
        """Peek at the first byte, and hand the connection over as TLS or as plain HTTP."""
        connections = self._connections
        try:
            async with asyncio.timeout(connections.timeouts.head_s):
                await self._readable(client)
                first = client.recv(1, socket.MSG_PEEK)
                if first == _HANDSHAKE:
                    await self._loop.connect_accepted_socket(connections, client, ssl=self._tls)
                elif first:
                    await self._loop.connect_accepted_socket(connections.plain, client)
                else:
                    client.close()
        except (
            OSError,
            TimeoutError,
        ) as error:  # of the handshake, too: ssl.SSLError is an OSError
            logger.debug("handshake_failed", extra={"reason": str(error)})
            client.close()
        except asyncio.CancelledError:
            client.close()
            raise

    async def _readable(self, client: socket.socket) -> None:
        there: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(client, _wake, there)
        try:
            await there
        finally:
            self._loop.remove_reader(client)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():  # the socket stays readable
        waiting.set_result(None)


async def bind(host: str, port: int, backlog: int) -> list[socket.socket]:
    """Return a listening socket for every address of a host.

    Raises:
        OSError: one cannot be bound; none is left open.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((each[0], each[4]) for each in found):
            sockets.append(socket.create_server(address, family=family, backlog=backlog))
    except OSError:
        for bound in sockets:
            bound.close()
        raise
    return sockets
