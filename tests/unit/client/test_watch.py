"""Watch: every event once, over as many connections as it takes."""

import asyncio
import json
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from memory_spine import AsyncSpine, ConfigError, Event, Spine
from memory_spine.core import Core
from memory_spine.effects import Answer, Request, Stream
from memory_spine.errors import (
    ConnectionFailed,
    NotFound,
    Unauthenticated,
    UnexpectedAnswer,
)
from memory_spine.models import ChangePage
from memory_spine.watch import SEEN_MAX, Watch, changes, watched
from unit.client.scripted_server import (
    MEMORY,
    AsyncScriptedServer,
    ScriptedServer,
    lost,
    ok,
    problem,
)
from unit.client.socket_server import Connection, serving

EVENTS = {"content-type": "text/event-stream; charset=utf-8"}
WATCH = "http://a/v1/ns/acme/watch"


def _sse(kind: str, cursor: str | None = None, **data: object) -> bytes:
    head = "" if cursor is None else f"id: {cursor}\n"
    return f"{head}event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def _put(name: str, version: str, cursor: str | None = None, **more: object) -> bytes:
    return _sse("put", cursor, namespace="acme", id=name, version=version, **more)


def _delete(name: str, version: str, cursor: str | None = None, **more: object) -> bytes:
    return _sse("delete", cursor, namespace="acme", id=name, version=version, **more)


def _stream(*events: bytes) -> Answer:
    return Answer(status=200, headers=EVENTS, body=b"".join(events))


def _watch(core: Core, **more: Any) -> Watch:
    options: dict[str, Any] = {"filter": None, "scope": "exact", "events": ("put", "delete")}
    return Watch(core, watched(core, **{**options, "since": "now", **more}))


def _events(server: ScriptedServer, **more: Any) -> Generator[Event, None, None]:
    """The loop of the drivers, on the clock of the scripted server."""
    watch = _watch(server.core(), **more)
    while server.replies:
        stream: Stream[Generator[bytes, None, None]] = server.run(watch.open())
        for chunk in stream.chunks:
            yield from watch.take(chunk)
            if watch.lagging:
                break
        watch.broken()


def _seen(server: ScriptedServer, **more: Any) -> list[tuple[str, str | None, str | None]]:
    return [(event.type, event.id, event.version) for event in _events(server, **more)]


def _resumed(server: ScriptedServer) -> list[str | None]:
    return [request.headers.get("Last-Event-ID") for request in server.requests]


def test_a_watch_asks_for_what_was_given() -> None:
    server = ScriptedServer([_stream()])
    wanted = {"tags": "task"}
    _seen(server, filter=wanted, scope="subtree", events=["put", "lease"], since="c0")
    (request,) = server.requests
    parts = urlsplit(request.url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == WATCH
    assert parse_qs(parts.query) == {
        "filter": [json.dumps(wanted, separators=(",", ":"))],
        "scope": ["subtree"],
        "events": ["put,lease"],
        "since": ["c0"],
        "include": ["memory"],
    }
    assert request.headers["Accept"] == "text/event-stream"
    assert "Last-Event-ID" not in request.headers
    assert request.timeout_s == 40.0  # the node is silent for 15 s at most
    assert request.first_byte_s == pytest.approx(2.5)


def test_an_event_tells_what_changed_and_where_to_go_on() -> None:
    lease = {"key": "deploy", "held": True, "fence": 7}
    server = ScriptedServer(
        [
            _stream(
                b": welcome\n\n",
                _put("t-1", "v1", "c1", memory={**MEMORY, "version": "v1"}),
                _delete("t-1", "v2", "c2", reason="deleted"),
                _sse("lease", "c3", namespace="acme", id="deploy", version="v3", lease=lease),
                _sse("news", "c4", namespace="acme"),
            )
        ]
    )
    put, delete, moved = _events(server)
    assert put.memory is not None
    assert (put.type, put.id, put.memory.content, put.cursor) == ("put", "t-1", "hello", "c1")
    assert (delete.type, delete.reason, delete.memory) == ("delete", "deleted", None)
    assert moved.lease is not None
    assert (moved.lease.fence, moved.cursor) == (7, "c3")


def test_a_broken_stream_goes_on_at_its_cursor() -> None:
    server = ScriptedServer(
        [
            _stream(_put("a", "v1", "c1"), b"id: c2\n\n", b"event: put\ndata: {cut"),
            lost(sent=False),
            _stream(_put("b", "v2", "c3")),
            _stream(),
        ]
    )
    assert _seen(server) == [("put", "a", "v1"), ("put", "b", "v2")]
    assert _resumed(server) == [None, "c2", "c2", "c3"]
    assert server.sleeps == [0.05, 0.05, 0.05]  # before each, all of what may be drawn


def test_what_comes_again_after_a_break_is_handed_out_once() -> None:
    again = [_put("a", "v1", "c1"), _put("b", "v1", "c2"), _delete("a", "v2", "c3")]
    server = ScriptedServer([_stream(*again), _stream(*again, _put("a", "v3", "c4"))])
    assert _seen(server) == [
        ("put", "a", "v1"),
        ("put", "b", "v1"),
        ("delete", "a", "v2"),
        ("put", "a", "v3"),
    ]


def test_a_pruned_memory_is_gone_though_its_version_is_that_of_the_write() -> None:
    pruned = _delete("a", "v1", "c2", reason="pruned")
    server = ScriptedServer([_stream(_put("a", "v1", "c1"), pruned, pruned)])
    assert _seen(server) == [("put", "a", "v1"), ("delete", "a", "v1")]


def test_the_same_id_elsewhere_is_another_memory() -> None:
    elsewhere = _sse("put", "c2", namespace="acme.support", id="a", version="v1")
    lease = _sse("lease", "c3", namespace="acme", id="a", version="v1")
    server = ScriptedServer([_stream(_put("a", "v1", "c1"), elsewhere, lease)])
    assert len(_seen(server)) == 3


def test_what_is_remembered_is_bounded_and_the_least_recent_is_forgotten() -> None:
    many = b"".join(_put(f"m{number}", "v1") for number in range(SEEN_MAX - 1))
    server = ScriptedServer()
    watch = _watch(server.core())
    server.replies = [_stream()]
    server.run(watch.open())
    assert len(watch.take(_put("a", "v1") + many)) == SEEN_MAX
    assert watch.take(_put("a", "v1")) == []
    assert len(watch.take(_put("a", "v2") + _put("new", "v1"))) == 2  # a is the newest again
    assert watch.take(_put("a", "v2")) == []
    assert len(watch.take(_put("m0", "v1"))) == 1  # forgotten for `new`


def test_a_reset_is_handed_out_and_the_watch_goes_on_from_its_cursor() -> None:
    server = ScriptedServer(
        [_stream(_sse("reset", "fresh", reason="cursor-expired")), _stream(_put("a", "v1", "c1"))]
    )
    reset, put = _events(server, since="old")
    assert (reset.type, reset.reason, reset.cursor) == ("reset", "cursor-expired", "fresh")
    assert put.id == "a"
    assert _resumed(server) == [None, "fresh"]


def test_a_watch_that_lags_takes_another_connection_at_its_cursor() -> None:
    lagging = b"event: lagging\n\n" + _put("never read", "v9", "c9")
    server = ScriptedServer([_stream(_put("a", "v1", "c1"), lagging), _stream(_put("b", "v2"))])
    assert _seen(server) == [("put", "a", "v1"), ("lagging", None, None), ("put", "b", "v2")]
    assert _resumed(server) == [None, "c1"]


@pytest.mark.parametrize(("since", "blind"), [("now", True), ("beginning", False), ("c0", False)])
def test_a_break_before_any_cursor_is_a_reset_unless_nothing_can_be_missed(
    since: str, blind: bool
) -> None:
    server = ScriptedServer([_stream(b": welcome\n\n"), _stream(_put("a", "v1", "c1"))])
    resets = [event.reason for event in _events(server, since=since) if event.type == "reset"]
    assert resets == (["no-cursor"] if blind else [])


def test_breaks_without_events_are_waited_for_ever_longer() -> None:
    server = ScriptedServer([*[_stream(b": welcome\n\n")] * 8, _stream(_put("a", "v1", "c1"))])
    _seen(server)
    assert server.sleeps == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_a_cluster_that_is_away_is_waited_for_once_the_watch_was_open() -> None:
    server = ScriptedServer([_stream(_put("a", "v1", "c1")), *[lost(sent=False)] * 40])
    server.replies.append(_stream(_put("b", "v2", "c2")))
    assert [name for _, name, _ in _seen(server)] == ["a", "b"]
    assert len(server.requests) == 42


def test_a_watch_that_cannot_be_opened_at_first_fails_as_every_call_does() -> None:
    with pytest.raises(ConnectionFailed):
        _seen(ScriptedServer([lost(sent=False)] * 4))
    with pytest.raises(NotFound):
        _seen(ScriptedServer([problem("not-found", 404)]))


def test_a_refusal_for_good_ends_the_watch() -> None:
    server = ScriptedServer([_stream(_put("a", "v1", "c1")), problem("unauthenticated", 401)])
    with pytest.raises(Unauthenticated):
        _seen(server)


@pytest.mark.parametrize(
    ("headers", "body", "message"),
    [
        ({"content-type": "text/html"}, b"<html>\n", "with text/html and not with events"),
        (EVENTS, b"event: put\ndata: [1]\n\n", "Expected `object`"),
        (EVENTS, b"event: put\ndata: {no\n\n", "malformed"),
    ],
)
def test_what_is_no_stream_of_events_is_unexpected(
    headers: dict[str, str], body: bytes, message: str
) -> None:
    server = ScriptedServer([Answer(status=200, headers=headers, body=body)])
    with pytest.raises(UnexpectedAnswer, match=message) as failed:
        _seen(server)
    assert not failed.value.may_have_been_applied


def test_the_blocking_client_watches() -> None:
    server = ScriptedServer([_stream(_put("a", "v1", "c1")), _stream(_put("b", "v2", "c2"))])
    spine = Spine("http://a", namespace="acme", transport=server)
    assert [event.id for event in islice(spine.watch(), 2)] == ["a", "b"]


async def test_the_awaiting_client_watches() -> None:
    server = ScriptedServer([_stream(_put("a", "v1", "c1")), _stream(_put("b", "v2", "c2"))])
    transport = AsyncScriptedServer(server)
    async with AsyncSpine("http://a", namespace="acme", transport=transport) as spine:
        assert await _first(spine, 2) == ["a", "b"]


async def _first(spine: AsyncSpine, count: int) -> list[str | None]:
    events = spine.watch()
    found = [(await anext(events)).id for _ in range(count)]
    await events.aclose()
    return found


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda spine: spine.watch(events=[]), "events names none"),
        (lambda spine: spine.watch(events=["puts"]), r"events\[0\] is one of put, delete, lease"),
        (lambda spine: spine.watch(events="put"), "events must be a sequence"),
        (lambda spine: spine.watch(scope="all"), "scope is one of"),
        (lambda spine: spine.watch(filter=[1]), "filter must be a mapping"),
        (lambda spine: spine.watch(since=""), "since is empty"),
        (lambda spine: spine.changes(since=None), "since must be a text"),
        (lambda spine: spine.changes(limit="9"), "limit must be an integer"),
        (lambda spine: spine.changes(wait=-1), "wait must not be negative"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(use: Callable[[Spine], object], message: str) -> None:
    server = ScriptedServer()
    with pytest.raises((ConfigError, TypeError), match=message):
        use(Spine("http://a", namespace="acme", transport=server))
    assert not server.requests


def _page(cursor: str, *names: str, reset: bool = False) -> Answer:
    events = [{"type": "put", "namespace": "acme", "id": name, "version": "v1"} for name in names]
    return ok({"events": events, "cursor": cursor, "reset": reset})


def _changes(server: ScriptedServer, wait: float = 0.0) -> ChangePage:
    core = server.core()
    what = watched(core, filter=None, scope="exact", events=("put",), since="c0")
    return server.run(changes(core, what, limit=9, wait=wait))


def test_changes_come_as_a_page_with_the_next_cursor() -> None:
    server = ScriptedServer([_page("c1", "a", "b")])
    spine = Spine("http://a", namespace="acme", transport=server)
    page = spine.changes(since="c0", limit=9)
    assert [event.id for event in page.events] == ["a", "b"]
    assert (page.cursor, page.reset) == ("c1", False)
    assert server.requests[0].url == (
        "http://a/v1/ns/acme/changes?scope=exact&events=put%2Cdelete&limit=9&since=c0&wait_ms=0"
    )


def test_a_long_poll_is_several_requests_until_something_changes() -> None:
    def silent(request: Request) -> Answer:
        server.now_s += 20.0
        assert request.first_byte_s is not None
        assert request.first_byte_s > 20.0
        return _page("c1")

    server = ScriptedServer([silent, _page("c2", "a")])
    assert [event.id for event in _changes(server, 60.0).events] == ["a"]
    assert ["since=c0" in request.url for request in server.requests] == [True, False]
    assert "since=c1" in server.requests[1].url


@pytest.mark.parametrize("page", [_page("c1"), _page("c1", reset=True)])
def test_a_long_poll_ends_with_its_time_or_a_reset(page: Answer) -> None:
    server = ScriptedServer([page] * 99)
    found = _changes(server, 0.0 if not json.loads(page.body)["reset"] else 60.0)
    assert found.events == ()
    assert len(server.requests) == 1


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


class _Node:
    """Sends one event on each connection, cut in two, and hangs up in the middle of the next."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    def __call__(self, connection: Connection) -> None:
        connection.receive()
        with self._lock:
            self._count += 1
            event = _put(f"m{self._count}", "v1", f"c{self._count}").replace(b"\n", b"\r\n")
        sent = event + b"event: put\r\ndata: {"
        connection.socket.sendall(CHUNKED)
        for part in (sent[:17], sent[17:]):
            connection.socket.sendall(b"%x\r\n%s\r\n" % (len(part), part))


def _watch_blocking(url: str, transport: Any) -> list[str | None]:
    with (
        Spine(url, namespace="acme", transport=transport) as spine,
        closing(spine.watch()) as events,
    ):
        return [event.id for event in islice(events, 3)]


def _watch_awaiting(url: str, transport: Any) -> list[str | None]:
    async def read() -> list[str | None]:
        async with AsyncSpine(url, namespace="acme", transport=transport) as spine:
            return await _first(spine, 3)

    return asyncio.run(read())


@pytest.mark.parametrize("transport", ["http", "link"])
@pytest.mark.parametrize("read", [_watch_blocking, _watch_awaiting])
def test_a_watch_survives_a_node_that_hangs_up(
    read: Callable[[str, Any], list[str | None]], transport: str
) -> None:
    with serving(_Node()) as server:
        assert read(server.url, transport) == ["m1", "m2", "m3"]
        heads = [request.decode().lower() for request in server.requests]
    assert ["last-event-id: c1" in head for head in heads] == [False, True, False]
    assert "last-event-id: c2" in heads[2]
