"""The fault proxy in front of a server that knows what has reached it."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from faultproxy import BackgroundLoop, Cut, Delay, FaultProxy, Refuse, Request, Rule
from faultproxy.faults import request_of

PODS = "/api/v1/namespaces/agents/pods"
WRITE = Request("patch", "pods")


class Server(ThreadingHTTPServer):
    """Keeps the bodies it was sent; a watch gets one line and then waits."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[bytes] = []
        self.ending = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.send_response(200)
        if "watch" not in self.path:
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")
            return
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"first\n")
        self.server.ending.wait()

    def do_PATCH(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Seen-Content-Type", self.headers["Content-Type"])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.ending.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    with BackgroundLoop() as background, FaultProxy(background, server.url) as proxy:
        yield proxy


@contextmanager
def ask(
    proxy: FaultProxy, method: str, path: str, body: str = ""
) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=10)
    with closing(connection):
        connection.request(method, path, body or None, {"Content-Type": "application/x"})
        with connection.getresponse() as answer:
            yield answer


def patch(proxy: FaultProxy, body: str) -> int:
    with ask(proxy, "PATCH", f"{PODS}/spine-a-0?force=true", body) as answer:
        assert answer.read() == body.encode() or answer.status != 200
        return answer.status


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/namespaces/agents/pods", "pods"),
        ("/api/v1/namespaces/agents/pods/spine-a-0", "pods"),
        ("/apis/apps/v1/namespaces/agents/statefulsets/spine-a/status", "statefulsets/status"),
        ("/apis/apps/v1/statefulsets", "statefulsets"),
        ("/api/v1/namespaces/agents", "namespaces"),
        ("/apis/apps/v1", ""),
        ("/version", ""),
    ],
)
def test_the_resource_is_read_from_the_path(path: str, resource: str) -> None:
    assert request_of("GET", path, streams=False) == Request("get", resource)


def test_requests_pass_through_and_are_counted(proxy: FaultProxy, server: Server) -> None:
    with ask(proxy, "PATCH", PODS, "one") as answer:
        assert (answer.status, answer.read()) == (200, b"one")
        assert answer.headers["Seen-Content-Type"] == "application/x"
    with ask(proxy, "GET", PODS) as answer:
        assert answer.read() == b"ok"
    assert proxy.counts == {WRITE: 1, Request("get", "pods"): 1}
    assert [request.writes for request in proxy.counts] == [True, False]


def test_a_refused_request_goes_no_further(proxy: FaultProxy, server: Server) -> None:
    refuse = Refuse(status=429, retry_after_s=3)
    rule = Rule(lambda request: request.writes, refuse, first=2, times=1)
    with proxy.rules(rule):
        assert patch(proxy, "one") == 200
        with ask(proxy, "PATCH", PODS, "two") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "3")
        assert patch(proxy, "three") == 200
    assert (rule.seen, rule.hits) == (3, 1)
    assert server.bodies == [b"one", b"three"]


@pytest.mark.parametrize(("forwarded", "arrived"), [(True, [b"one"]), (False, [])])
def test_a_cut_strikes_after_the_request_was_forwarded_or_before(
    proxy: FaultProxy, server: Server, forwarded: bool, arrived: list[bytes]
) -> None:
    then: list[list[bytes]] = []
    cut = Cut(forwarded=forwarded, strike=lambda: then.append([*server.bodies]))
    with (
        proxy.rules(Rule(lambda request: request.writes, cut)),
        pytest.raises(http.client.RemoteDisconnected),
    ):
        patch(proxy, "one")
    assert then == [arrived]
    assert patch(proxy, "two") == 200


def test_a_delayed_request_arrives(proxy: FaultProxy, server: Server) -> None:
    rule = Rule(lambda request: request.writes, Delay(0.01))
    with proxy.rules(rule):
        assert patch(proxy, "late") == 200
    assert rule.hits == 1


def test_a_stream_arrives_bit_by_bit_until_it_is_cut(proxy: FaultProxy, server: Server) -> None:
    with ask(proxy, "GET", f"{PODS}?watch=true") as answer:
        assert answer.readline() == b"first\n"
        assert proxy.cut_streams() == 1
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()
    assert proxy.counts == {Request("watch", "pods"): 1}


def test_a_server_that_is_away_is_a_hang_up() -> None:
    with (
        BackgroundLoop() as background,
        FaultProxy(background, "http://127.0.0.1:1") as proxy,
        pytest.raises(http.client.RemoteDisconnected),
    ):
        patch(proxy, "one")
