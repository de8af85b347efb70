"""Both transports against a real socket: what arrives, and what a failure proves."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from memory_spine.aiohttp_transport import AiohttpTransport
from memory_spine.blocking_link import BlockingLinkTransport
from memory_spine.effects import Answer, AsyncTransport, Request, Transport
from memory_spine.errors import ConfigError, ConnectionFailed
from memory_spine.link_transport import LinkTransport
from memory_spine.network import NetworkOptions
from memory_spine.urllib3_transport import Urllib3Transport
from unit.client.socket_server import Connection, answer, serving


class Echo(BaseHTTPRequestHandler):
    """Answers 302 with what it was asked; hangs up on /hang-up; never answers /silent."""

    protocol_version = "HTTP/1.1"
    released: ClassVar[threading.Event] = threading.Event()

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/hang-up":
            self.close_connection = True
            return
        if self.path == "/silent":
            self.released.wait(10)
            self.close_connection = True
            return
        told = f"{self.path} {self.headers['Spine-Session']} ".encode() + body
        self.send_response(302)
        self.send_header("Location", "/elsewhere")
        self.send_header("Spine-Node", "spine-1")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    Echo.released.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        Echo.released.set()
        server.shutdown()
        thread.join()


DIRECT = NetworkOptions()


def _blocking(
    request: Request,
    options: NetworkOptions = DIRECT,
    kind: Callable[[NetworkOptions], Transport] = Urllib3Transport,
) -> Answer:
    with closing(kind(options)) as transport:
        return transport.send(request)


def _awaiting(
    request: Request,
    options: NetworkOptions = DIRECT,
    kind: Callable[[NetworkOptions], AsyncTransport] = AiohttpTransport,
) -> Answer:
    async def send() -> Answer:
        transport = kind(options)
        try:
            return await transport.send(request)
        finally:
            await transport.close()

    return asyncio.run(send())


# the servers here know no links: these ask, and go on by HTTP
_blocking_link = partial(_blocking, kind=BlockingLinkTransport)
_awaiting_link = partial(_awaiting, kind=LinkTransport)
ALL = pytest.mark.parametrize(
    "send",
    [_blocking, _awaiting, _blocking_link, _awaiting_link],
    ids=["blocking", "awaiting", "blocking-link", "awaiting-link"],
)


def _put(url: str, timeout_s: float = 5.0) -> Request:
    headers = {"Spine-Session": "a,b"}
    base = "/".join(url.split("/")[:3])
    return Request(
        method="PUT", url=url, base=base, headers=headers, body=b"hello", timeout_s=timeout_s
    )


@ALL
def test_a_request_arrives_as_it_is_and_no_redirect_is_followed(
    send: Callable[..., Answer], server: str
) -> None:
    path = "/v1/ns/acme/memories/a%2Fb~c:d@e?x=%7B%7D"
    answer = send(_put(f"{server}{path}"))
    assert answer.status == 302
    assert answer.body == f"{path} a,b hello".encode()
    assert answer.headers["spine-node"] == "spine-1"


@ALL
def test_a_refused_connection_proves_that_nothing_arrived(
    send: Callable[..., Answer],
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    with pytest.raises(ConnectionFailed) as failed:
        send(_put(url))
    assert not failed.value.sent


def test_a_client_of_another_event_loop_says_so(server: str) -> None:
    transport = AiohttpTransport()
    with asyncio.Runner() as first:
        first.run(transport.send(_put(f"{server}/a")))
        with asyncio.Runner() as second, pytest.raises(ConfigError, match="event loop"):
            second.run(transport.send(_put(f"{server}/a")))
        first.run(transport.close())
    with asyncio.Runner() as third:
        assert third.run(transport.send(_put(f"{server}/a"))).status == 302
        third.run(transport.close())


@ALL
def test_https_to_a_node_without_tls_proves_that_nothing_arrived_and_says_so(
    send: Callable[..., Answer], server: str
) -> None:
    with pytest.raises(ConnectionFailed, match="no TLS is spoken there") as failed:
        send(_put(server.replace("http:", "https:")))
    assert not failed.value.sent


@ALL
@pytest.mark.parametrize(("path", "timeout_s"), [("/hang-up", 5.0), ("/silent", 0.2)])
def test_a_connection_lost_after_sending_proves_nothing(
    send: Callable[..., Answer], path: str, timeout_s: float, server: str
) -> None:
    with pytest.raises(ConnectionFailed) as failed:
        send(_put(f"{server}{path}", timeout_s))
    assert failed.value.sent


@ALL
@pytest.mark.parametrize("alert", [b"", b"\x15\x03\x03\x00\x02\x02\x0a"])
def test_http_to_a_node_with_tls_names_the_cure(send: Callable[..., Answer], alert: bytes) -> None:
    def play(connection: Connection) -> None:
        connection.receive()  # what a TLS server does not understand, it ends, with an alert or without
        connection.socket.sendall(alert)

    with serving(play) as server, pytest.raises(ConnectionFailed, match="begins with https:"):
        send(_put(f"{server.url}/a"))


def _tell_the_target(connection: Connection) -> None:
    while asked := connection.receive():
        connection.socket.sendall(answer(asked.split(b" ", 2)[1]))


@ALL
def test_an_address_of_version_6_is_a_node_as_well(send: Callable[..., Answer]) -> None:
    with serving(_tell_the_target, "::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert send(_put(f"{server.url}/a")).body == b"/a"


@ALL
def test_a_proxy_is_used_only_when_it_is_asked_for(
    send: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(_tell_the_target) as proxy, serving(_tell_the_target) as node:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy.url)
        url = f"{node.url}/a"
        assert send(_put(url)).body == b"/a"
        assert send(_put(url), NetworkOptions(proxy=proxy.url)).body == url.encode()
        assert send(_put(url), NetworkOptions(proxy="environment")).body == url.encode()
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert send(_put(url), NetworkOptions(proxy="environment")).body == b"/a"
        assert (
            proxy.connections == node.connections in {2, 4}
        )  # a link that is refused takes one too


@ALL
def test_a_proxy_that_is_not_there_is_named_as_the_failure(send: Callable[..., Answer]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(ConnectionFailed, match=r"proxy|127\.0\.0\.1"):
        send(_put("http://127.0.0.1:1/a"), NetworkOptions(proxy=proxy))


def test_what_is_not_given_comes_from_the_environment() -> None:
    options = NetworkOptions.of(None, None, {"SPINE_PROXY": "http://p:1"})
    assert options == NetworkOptions(proxy="http://p:1")
    assert (
        NetworkOptions.of(None, "environment", {"SPINE_PROXY": "http://p:1"}).proxy == "environment"
    )
