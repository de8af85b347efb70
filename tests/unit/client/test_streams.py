"""An answer that comes in parts: the effect `Open`, both drivers and both transports."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import closing

import pytest

from memory_spine import aio_driver, sync_driver
from memory_spine.aiohttp_transport import AiohttpTransport
from memory_spine.core import Call
from memory_spine.effects import Answer, AsyncParts, Open, Parts, Request, Stream
from memory_spine.errors import ConnectionFailed, NotFound
from memory_spine.urllib3_transport import Urllib3Transport
from unit.client.scripted_server import AsyncScriptedServer, ScriptedServer, lost, problem
from unit.client.socket_server import Connection, serving

WATCH = Call(method="GET", path="/v1/ns/acme/memories:watch")
EVENTS = [b'{"n": 1}\n', b'{"n": 2}\n']
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSpine-Session: s1\r\n\r\n"


def _streaming() -> Answer:
    return Answer(status=200, headers={"spine-session": "s1"}, body=b"".join(EVENTS))


def test_an_opened_stream_hands_its_parts_to_the_loop_of_the_driver() -> None:
    server = ScriptedServer([_streaming()])
    core = server.core()
    stream: Stream[Parts] = sync_driver.run(core.open(WATCH), server)
    assert list(stream.chunks) == EVENTS
    assert core.session.token == "s1"


async def test_the_driver_that_awaits_does_the_same() -> None:
    server = ScriptedServer([_streaming()])
    stream: Stream[AsyncParts] = await aio_driver.run(
        server.core().open(WATCH), AsyncScriptedServer(server)
    )
    assert [chunk async for chunk in stream.chunks] == EVENTS


def test_opening_is_tried_again_as_every_request_is() -> None:
    server = ScriptedServer([lost(), problem("not-ready", 503, retryable=True), _streaming()])
    stream = server.run(server.core("http://a", "http://b").open(WATCH))
    assert list(stream.chunks) == EVENTS
    assert server.hosts == ["a", "b", "a"]


def test_an_answer_that_is_no_success_is_the_error_it_tells() -> None:
    server = ScriptedServer([problem("not-found", 404)])
    with pytest.raises(NotFound):
        server.run(server.core().open(WATCH))


def test_opening_is_an_effect_of_its_own() -> None:
    operation = ScriptedServer().core().open(WATCH)
    assert isinstance(next(operation), Open)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _request(url: str, timeout_s: float = 30.0) -> Request:
    return Request(method="GET", url=f"{url}/watch", headers={}, timeout_s=timeout_s)


class _Serve:
    """Sends one event, the next when the first was seen, then `last` or nothing any more."""

    def __init__(self, last: bytes) -> None:
        self.seen = threading.Event()
        self._last = last

    def __call__(self, connection: Connection) -> None:
        connection.receive()
        connection.socket.sendall(CHUNKED + _chunk(EVENTS[0]))
        self.seen.wait(30)
        connection.socket.sendall(_chunk(EVENTS[1]) + self._last)
        if not self._last:
            connection.stay_silent()


def _read_blocking(url: str, seen: threading.Event, timeout_s: float) -> list[bytes]:
    with closing(Urllib3Transport()) as transport:
        stream = transport.open(_request(url, timeout_s))
        assert isinstance(stream, Stream)
        assert stream.headers["spine-session"] == "s1"
        first = next(stream.chunks)
        seen.set()
        return [first, *stream.chunks]


def _read_awaiting(url: str, seen: threading.Event, timeout_s: float) -> list[bytes]:
    async def read() -> list[bytes]:
        transport = AiohttpTransport()
        try:
            stream = await transport.open(_request(url, timeout_s))
            assert isinstance(stream, Stream)
            assert stream.headers["spine-session"] == "s1"
            first = await anext(stream.chunks)
            seen.set()
            return [first, *[chunk async for chunk in stream.chunks]]
        finally:
            await transport.close()

    return asyncio.run(read())


Read = Callable[[str, threading.Event, float], list[bytes]]
BOTH = pytest.mark.parametrize("read", [_read_blocking, _read_awaiting])


@BOTH
def test_each_part_comes_as_soon_as_it_was_sent(read: Read) -> None:
    play = _Serve(_chunk(b""))
    with serving(play) as server:
        assert read(server.url, play.seen, 30.0) == EVENTS


@BOTH
def test_a_stream_that_falls_silent_fails_by_its_time(read: Read) -> None:
    play = _Serve(b"")
    with serving(play) as server, pytest.raises(ConnectionFailed, match="no whole answer"):
        read(server.url, play.seen, 1.0)


@BOTH
def test_a_stream_that_is_cut_off_does_not_look_like_its_end(read: Read) -> None:
    play = _Serve(b"5\r\nhal")
    with serving(play) as server, pytest.raises(ConnectionFailed):
        read(server.url, play.seen, 30.0)


def _refuse(connection: Connection) -> None:
    connection.receive()
    connection.socket.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone")


def test_an_answer_that_is_no_success_comes_whole() -> None:
    with serving(_refuse) as server:
        with closing(Urllib3Transport()) as transport:
            refused = transport.open(_request(server.url))
        assert isinstance(refused, Answer)
        assert (refused.status, refused.body) == (404, b"gone")


async def test_and_so_it_does_for_the_client_that_awaits() -> None:
    with serving(_refuse) as server:
        transport = AiohttpTransport()
        refused = await transport.open(_request(server.url))
        await transport.close()
        assert isinstance(refused, Answer)
        assert (refused.status, refused.body) == (404, b"gone")


def test_a_stream_that_is_given_up_leaves_its_connection_to_nobody() -> None:
    play = _Serve(_chunk(b""))
    with serving(play) as server, closing(Urllib3Transport()) as transport:
        stream = transport.open(_request(server.url))
        assert isinstance(stream, Stream)
        next(stream.chunks)
        stream.chunks.close()
        play.seen.set()
        again = transport.open(_request(server.url))
        assert isinstance(again, Stream)
        assert next(again.chunks).startswith(EVENTS[0])
        assert server.connections == 2
