"""`Spine(..., transport="link")`: threads share links, and each gets what it asked for."""

import asyncio
import gc
import os
import pickle
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from memory_spine import ConnectionFailed, NotFound, Spine
from memory_spine.blocking_link import BlockingLinkTransport
from memory_spine.errors import BatchFailed, ConfigError, SpineError
from unit.client.linked import BOTH, Node, ScriptedNode, echo, listening, request, scripted, silent


@contextmanager
def in_background(enter: Callable[[], Any]) -> Iterator[Any]:
    """Hold an async context open in a loop of its own, since the client blocks this thread."""
    ready, done = threading.Event(), threading.Event()
    held: list[Any] = []

    async def hold() -> None:
        async with enter() as entered:
            held.append(entered)
            ready.set()
            while not done.is_set():
                await asyncio.wait_for(asyncio.to_thread(done.wait, 10), 10)

    thread = threading.Thread(target=lambda: asyncio.run(hold()))
    thread.start()
    ready.wait(10)
    try:
        yield held[0]
    finally:
        done.set()
        thread.join()


@pytest.fixture
def node() -> Iterator[Node]:
    with in_background(listening) as node:
        yield node


def scripted_node(play: Callable[[Any], Awaitable[None]], **options: Any) -> Any:
    return in_background(lambda: scripted(play, **options))


@BOTH
def test_every_operation_does_the_same(node: Node, transport: Any) -> None:
    with Spine(node.url, namespace="acme", transport=transport) as spine:
        made = spine.memories.create("hello", tags=["task"])
        assert spine.memories.get(made.id) == made
        spine.memories.put("n-2", "two")
        assert [m.id for m in spine.memories.list(order="id", page_size=1)] == sorted(
            [made.id, "n-2"]
        )
        with spine.memories.batch() as batch:
            batch.put("n-3", "y")
        assert [result.status for result in batch.result.results] == [201]
        with pytest.raises(BatchFailed), spine.memories.batch() as batch:
            batch.put("n", "x" * 70_000)
        spine.memories.delete("n-2")
        with pytest.raises(NotFound):
            spine.memories.get("n-2")
        assert spine.whoami().subject == "anonymous"
        assert spine.stats.attempts_failed == 0


def test_threads_share_a_link_and_each_gets_what_it_asked_for(node: Node) -> None:
    with Spine(node.url, namespace="acme", transport="link") as spine:
        for number in range(20):
            spine.memories.put(f"n-{number}", str(number))

        def work(number: int) -> set[str]:
            return {spine.memories.get(f"n-{number}").content for _ in range(20)}

        with ThreadPoolExecutor(20) as threads:
            assert list(threads.map(work, range(20))) == [{str(n)} for n in range(20)]
        assert node.connections == 1


def test_a_node_without_links_is_asked_by_http() -> None:
    with scripted_node(echo, status=404) as node:
        transport = BlockingLinkTransport()
        assert transport.send(request(node.url)).status == 500
        transport.close()
        assert node.by_http == ["/v1/x"]


def test_an_answer_that_does_not_come_is_given_up() -> None:
    with scripted_node(silent) as node:
        transport = BlockingLinkTransport()
        with pytest.raises(ConnectionFailed, match=r"no answer within 0\.1 s") as failed:
            transport.send(request(node.url, timeout_s=0.1))
        assert failed.value.sent
        transport.close()


def test_close_ends_what_another_thread_waits_for_and_it_can_be_used_again() -> None:
    with scripted_node(_silent_once()) as node:
        transport = BlockingLinkTransport()
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(transport.send, request(node.url))
            _until_upgraded(node)
            transport.close()
            with pytest.raises(ConnectionFailed, match="the client was closed"):
                waiting.result(10)
        assert transport.send(request(node.url)).status == 200
        transport.close()
        transport.close()


def _silent_once() -> Callable[[Any], Awaitable[None]]:
    played: list[object] = []

    async def play(flow: Any) -> None:
        played.append(flow)
        await (silent(flow) if len(played) == 1 else echo(flow))

    return play


def _until_upgraded(node: ScriptedNode) -> None:
    waiting = threading.Event()
    for _ in range(1000):
        if node.upgrades:
            return
        waiting.wait(0.01)
    raise AssertionError("no link was opened")


def test_what_is_asked_of_a_loop_that_has_ended_was_not_sent() -> None:
    with scripted_node(echo) as node:
        transport = BlockingLinkTransport()
        transport.send(request(node.url))
        background = transport._background
        assert background is not None
        background.close()
        with pytest.raises(ConnectionFailed) as failed:
            background.ask(request(node.url)).result(10)
        assert not failed.value.sent
        transport.close()


def test_a_client_that_is_dropped_ends_its_thread(node: Node) -> None:
    spine = Spine(node.url, namespace="acme", transport="link")
    spine.memories.put("n", "x")
    assert isinstance(spine._transport, BlockingLinkTransport)
    assert spine._transport._background is not None
    thread = spine._transport._background._thread
    del spine
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def test_a_forked_child_opens_a_link_of_its_own(node: Node) -> None:
    with Spine(node.url, namespace="acme", transport="link") as spine:
        spine.memories.put("n", "x")
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            try:
                os.write(writer, spine.memories.get("n").content.encode())
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader, "rb") as pipe:  # noqa: PTH123 - a descriptor, no path
            assert pipe.read() == b"x"
        os.waitpid(child, 0)
        assert spine.memories.get("n").content == "x"


def test_a_copy_has_the_options_and_no_connection() -> None:
    copy = pickle.loads(pickle.dumps(Spine("http://a", transport="link")))
    assert isinstance(copy._transport, BlockingLinkTransport)


def test_a_wrong_proxy_of_the_environment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "nonsense")
    with (
        Spine("http://a", namespace="acme", transport="link", proxy="environment") as spine,
        pytest.raises(ConfigError, match="is no proxy"),
    ):
        spine.memories.get("n")


def test_the_environment_chooses_the_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINE_TRANSPORT", "link")
    assert isinstance(Spine("http://a")._transport, BlockingLinkTransport)
    monkeypatch.setenv("SPINE_TRANSPORT", "pigeon")
    with pytest.raises(SpineError, match="transport is one of http, link"):
        Spine("http://a")
