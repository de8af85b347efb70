"""A call ends by its time, whatever moves or does not; what moves within it is not fetched again.

The servers send byte by byte for longer than any limit of inactivity, and would end by themselves
after a quarter of a minute: a call that only ends then has returned a value, and fails the test.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from memory_spine import AsyncSpine, ConnectionFailed, Memory, Spine
from spine_node.clock import Clock
from spine_operator.certificates import make_authority, make_leaf
from unit.client.scripted_server import MEMORY
from unit.client.socket_server import PAUSE_S, Connection, answer, serving

ANSWER = answer(json.dumps(MEMORY).encode())
PIECES = int(15 / PAUSE_S)  # of an answer far longer than a call may take
ENDLESS = answer(json.dumps(MEMORY | {"content": "x" * 100 * PIECES}).encode())

Get = Callable[..., Memory]


def _blocking(url: str | Sequence[str], **options: Any) -> Memory:
    with Spine(url, namespace="acme", **options) as spine:
        return spine.memories.get("t-1")


def _awaiting(url: str | Sequence[str], **options: Any) -> Memory:
    async def get() -> Memory:
        async with AsyncSpine(url, namespace="acme", **options) as spine:
            return await spine.memories.get("t-1")

    return asyncio.run(get())


BOTH = pytest.mark.parametrize("get", [_blocking, _awaiting])


def _answer_all(connection: Connection) -> None:
    while connection.receive():
        connection.socket.sendall(ANSWER)


@BOTH
@pytest.mark.parametrize("slow_headers", [False, True])
def test_a_slow_answer_that_moves_is_fetched_once(get: Get, slow_headers: bool) -> None:
    def play(connection: Connection) -> None:
        connection.receive()
        head, body = ANSWER.split(b"\r\n\r\n")
        connection.drip(head, size=6 if slow_headers else len(head))
        connection.socket.sendall(b"\r\n\r\n")
        connection.drip(body, size=6)

    with serving(play) as server:
        # an even share of the time is 0.5 s, less than the answer takes
        assert get(server.url, timeout=60.0, attempts=120).content == "hello"
        assert len(server.requests) == 1


@BOTH
def test_an_answer_that_drips_ends_with_the_time_of_the_call(get: Get) -> None:
    def play(connection: Connection) -> None:
        connection.receive()
        connection.drip(ENDLESS, size=100)

    with serving(play) as server:
        with pytest.raises(ConnectionFailed, match=r"no whole answer within") as failed:
            get(server.url, timeout=1.0, attempts=2)
        assert failed.value.sent
        assert len(server.requests) == 1


@BOTH
def test_headers_that_drip_end_with_the_time_of_the_call(get: Get) -> None:
    def play(connection: Connection) -> None:
        connection.receive()
        connection.drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * PIECES)

    with serving(play) as server:
        with pytest.raises(ConnectionFailed):
            get(server.url, timeout=1.0, attempts=2)
        assert len(server.requests) == 1


@BOTH
def test_a_node_that_says_nothing_leaves_time_for_another(get: Get) -> None:
    with serving(Connection.stay_silent) as silent, serving(_answer_all) as well:
        memory = get([silent.url, well.url], timeout=60.0, attempts=60)
        assert memory.content == "hello"
        assert (silent.connections, len(well.requests)) == (1, 1)


@BOTH
def test_a_request_that_nobody_answers_ends_with_the_time_of_the_call(get: Get) -> None:
    with (
        serving(Connection.stay_silent) as server,
        pytest.raises(ConnectionFailed, match=r"no answer within 0\.[12] s"),
    ):
        get(server.url, timeout=0.4, attempts=2)


@BOTH
def test_a_connection_that_never_stands_ends_in_time_and_proves_that_nothing_arrived(
    get: Get,
) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):  # they fill the queue of the listener: the next one waits
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        with pytest.raises(ConnectionFailed, match="no connection within") as failed:
            get(f"http://127.0.0.1:{address[1]}", timeout=1.0, attempts=1)
        assert not failed.value.sent


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    authority = make_authority("test", Clock().physical_ms())
    leaf = make_leaf(authority, ("localhost", "127.0.0.1"), Clock().physical_ms())
    (directory / "ca.crt").write_text(authority.certificate)
    (directory / "tls.crt").write_text(leaf.certificate)
    (directory / "tls.key").write_text(leaf.key)
    return directory


@pytest.fixture
def tls(certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
    return context


@BOTH
def test_with_tls_the_time_of_a_call_is_kept_as_well(
    get: Get, certificates: Path, tls: ssl.SSLContext
) -> None:
    def play(connection: Connection) -> None:
        connection.receive()
        connection.drip(ENDLESS, size=100)

    ca_file = str(certificates / "ca.crt")
    with serving(_answer_all, tls=tls) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        assert get(url, ca_file=ca_file, timeout=60.0).content == "hello"
    with serving(play, tls=tls) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(ConnectionFailed, match="no whole answer within"):
            get(url, ca_file=ca_file, timeout=1.0, attempts=2)
        assert len(server.requests) == 1


def test_a_handshake_that_nobody_answers_ends_with_its_time() -> None:
    """For the client that blocks; asyncio lingers over the socket of a handshake it gave up."""
    with (
        serving(Connection.stay_silent) as server,
        pytest.raises(ConnectionFailed, match="no connection within") as failed,
    ):
        _blocking(server.url.replace("http:", "https:"), timeout=1.0, attempts=1)
    assert not failed.value.sent


@BOTH
def test_http_to_a_node_with_tls_says_how_its_address_begins(get: Get, tls: ssl.SSLContext) -> None:
    with (
        serving(_answer_all, tls=tls) as server,
        pytest.raises(ConnectionFailed, match="begins with https:"),
    ):
        get(server.url.replace("https:", "http:"), timeout=30.0, attempts=1)


def _half_of_one(connection: Connection) -> None:
    if b"/t-1 " in connection.receive():
        connection.socket.sendall(ANSWER[:20])
        connection.stay_silent()
    else:
        connection.socket.sendall(answer(json.dumps(MEMORY | {"id": "t-2"}).encode()))


def test_the_rest_of_an_answer_that_came_too_late_is_not_read_by_the_next_call() -> None:
    with serving(_half_of_one) as server, Spine(server.url, namespace="acme") as spine:
        with pytest.raises(ConnectionFailed):
            spine.with_options(timeout=0.3).memories.get("t-1")
        assert spine.memories.get("t-2").id == "t-2"


async def test_nor_by_the_next_call_of_the_client_that_awaits() -> None:
    with serving(_half_of_one) as server:
        async with AsyncSpine(server.url, namespace="acme") as spine:
            with pytest.raises(ConnectionFailed):
                await spine.with_options(timeout=0.3).memories.get("t-1")
            assert (await spine.memories.get("t-2")).id == "t-2"
