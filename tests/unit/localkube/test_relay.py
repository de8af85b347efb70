"""The relay carries bytes both ways, and each end's end to the other."""

import asyncio
import socket

from localkube.relay import Relay


async def test_a_relay_carries_both_directions_and_the_end_of_each() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.read()  # until the asker has ended its direction
        writer.write(question[::-1])
        writer.close()

    inside = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = inside.sockets[0].getsockname()
    listener = socket.create_server(("127.0.0.1", 0))
    outside_host, outside_port = listener.getsockname()
    Relay().add(listener, host, port)

    question = b"0123456789" * 100_000  # more than any buffer on the way
    reader, writer = await asyncio.open_connection(outside_host, outside_port)
    writer.write(question)
    writer.write_eof()
    assert await reader.read() == question[::-1]
    writer.close()
    await writer.wait_closed()
    inside.close()
    await inside.wait_closed()


async def test_a_relay_to_nobody_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        host, port = gone.getsockname()
    listener = socket.create_server(("127.0.0.1", 0))
    Relay().add(listener, host, port)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
