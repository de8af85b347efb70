"""Carries connections from outside into the hub's network: a loopback port for a tool out there.

The listener is made outside and handed in; see `hub_socket`.
"""

import asyncio
import contextlib
import socket
import threading

CHUNK_BYTES = 65536
CONNECT_DEADLINE_S = 5.0


class Relay:
    """One thread, one event loop, any number of listeners. Lives as long as its process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="relay", daemon=True).start()

    def add(self, listener: socket.socket, host: str, port: int) -> None:
        """Carry everything that connects to `listener` to this address inside."""

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.closing(writer), contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_DEADLINE_S):
                    inside_reader, inside_writer = await asyncio.open_connection(host, port)
                with contextlib.closing(inside_writer):
                    await asyncio.gather(_pump(reader, inside_writer), _pump(inside_reader, writer))

        server = asyncio.start_server(carry, sock=listener)
        asyncio.run_coroutine_threadsafe(server, self._loop).result()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy until the source ends, then pass the end on: the other direction may go on."""
    while data := await source.read(CHUNK_BYTES):
        sink.write(data)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
