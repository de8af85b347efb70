"""A forked process shares no connection and no held lock with its parent; no answer is another's."""

import asyncio
import json
import os
import pickle
import re
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from memory_spine import AsyncSpine, ConnectionFailed, Spine
from memory_spine.effects import Answer, Request
from memory_spine.errors import InvalidRequest, SpineError, UnexpectedAnswer
from memory_spine.forks import Lock
from memory_spine.session import Session
from unit.client.scripted_server import MEMORY, AsyncScriptedServer, ScriptedServer, ok, problem
from unit.client.socket_server import Connection, answer, serving

GETS = 30
CHILD_S = 10  # far longer than any child works


def _name_back(connection: Connection) -> None:
    """Answer every get with the memory that was asked for."""
    while asked := connection.receive():
        name = re.findall(rb"/memories/([a-z0-9-]+) ", asked)[0].decode()
        connection.socket.sendall(answer(json.dumps(MEMORY | {"id": name}).encode()))


def _in_child(work: Callable[[], Any]) -> Any:
    """Return what the work returned in a forked process; its `SpineError` is raised here."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        signal.alarm(CHILD_S)  # one that waits for ever is killed, and its result is missing
        try:
            try:
                result: object = work()
            except SpineError as error:
                result = error
            with open(writer, "wb") as pipe:  # noqa: PTH123 - a descriptor, no path
                pipe.write(pickle.dumps(result))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:  # noqa: PTH123 - a descriptor, no path
        result = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    if isinstance(result, Exception):
        raise result
    return result


def test_parent_and_child_that_read_at_once_each_get_what_they_asked_for() -> None:
    with serving(_name_back) as server, Spine(server.url, namespace="acme") as spine:

        def get_all(who: str) -> list[str]:
            return [spine.memories.get(f"{who}-{number}").id for number in range(GETS)]

        spine.memories.get("first")  # the parent has an open connection
        child_read: list[list[str]] = []
        forked = threading.Thread(target=lambda: child_read.append(_in_child(lambda: get_all("c"))))
        forked.start()
        own = get_all("p")
        forked.join()
        assert own == [f"p-{number}" for number in range(GETS)]
        assert child_read == [[f"c-{number}" for number in range(GETS)]]
        assert server.connections == 2


def test_a_child_that_awaits_opens_connections_of_its_own() -> None:
    async def get(spine: AsyncSpine, name: str) -> str:
        return (await spine.memories.get(name)).id

    with serving(_name_back) as server, asyncio.Runner() as parent:
        spine = AsyncSpine(server.url, namespace="acme")
        assert parent.run(get(spine, "p-1")) == "p-1"

        async def in_child() -> list[str]:
            names = [await get(spine, f"c-{number}") for number in range(GETS)]
            await spine.close()
            return names

        read = _in_child(lambda: asyncio.run(in_child()))
        assert read == [f"c-{number}" for number in range(GETS)]
        assert parent.run(get(spine, "p-2")) == "p-2"
        assert server.connections == 2
        parent.run(spine.close())


def test_the_child_holds_no_descriptor_of_its_parents_connections() -> None:
    ended = threading.Event()

    def play(connection: Connection) -> None:
        _name_back(connection)
        ended.set()

    with serving(play) as server:
        spine = Spine(server.url, namespace="acme")
        spine.memories.get("p-1")
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            os.read(reader, 1)  # lives until the parent says so
            os._exit(0)
        try:
            spine.close()
            assert ended.wait(10), "the server still sees the connection, through the child"
        finally:
            os.write(writer, b"x")
            os.waitpid(child, 0)
            os.close(reader)
            os.close(writer)


def test_a_lock_that_a_thread_of_the_parent_held_is_free_in_the_child() -> None:
    lock, held, done = Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)

    def take() -> bool:
        with lock:
            return True

    try:
        assert _in_child(take)
    finally:
        done.set()
        thread.join()


def test_a_child_does_not_wait_for_a_merge_of_its_parent() -> None:
    session = Session("a,b")
    assert session.claim_merge() == ("a", "b")
    assert session.claim_merge() == ()
    assert _in_child(session.claim_merge) == ("a", "b")


def test_what_the_parent_wrote_is_known_to_the_child_and_not_the_other_way_round() -> None:
    session = Session("parent")

    def write() -> tuple[str, ...]:
        session.learn((), "child")
        return session.tokens

    assert _in_child(write) == ("parent", "child")
    assert session.tokens == ("parent",)


def _of_another(request: Request) -> Answer:
    del request
    return ok(spine_request_id="somebody-elses")


def test_an_answer_to_another_request_is_never_returned() -> None:
    server = ScriptedServer([_of_another] * 4)
    spine = Spine("http://a", namespace="acme", transport=server)
    with pytest.raises(ConnectionFailed, match="the answer to another request") as failed:
        spine.memories.put("t-1", "hello")
    assert failed.value.may_have_been_applied
    assert server.closed == 4  # whose answers the connections hold is not known


def test_a_refusal_of_another_request_is_not_believed() -> None:
    refusal = problem("not-found", 404)
    refusal.headers["spine-request-id"] = "0123456789abcdef"  # type: ignore[index]
    server = ScriptedServer([refusal, ok()])
    spine = Spine("http://a", namespace="acme", transport=server)
    assert spine.memories.get_or_none("t-1") is not None


def test_a_refusal_that_was_written_before_the_request_could_be_read_is_believed() -> None:
    refusal = problem("invalid-request", 400)
    refusal.headers["spine-request-id"] = "1f2e3d4c-a"  # type: ignore[index]
    spine = Spine("http://a", namespace="acme", transport=ScriptedServer([refusal]))
    with pytest.raises(InvalidRequest):
        spine.memories.get("t-1")


def test_after_an_answer_to_another_request_the_next_connection_may_be_right() -> None:
    server = ScriptedServer([_of_another, ok()])
    assert Spine("http://a", namespace="acme", transport=server).memories.get("t-1").id == "t-1"


async def test_nor_by_the_client_that_awaits() -> None:
    server = ScriptedServer([_of_another] * 4)
    spine = AsyncSpine("http://a", namespace="acme", transport=AsyncScriptedServer(server))
    with pytest.raises(ConnectionFailed, match="the answer to another request"):
        await spine.memories.get("t-1")


@pytest.mark.parametrize("method", ["get", "put"])
def test_an_answer_about_another_memory_is_never_returned(method: str) -> None:
    spine = Spine("http://a", namespace="acme", transport=ScriptedServer([ok()]))
    with pytest.raises(UnexpectedAnswer, match="'t-1' in place of 't-2'") as failed:
        getattr(spine.memories, method)("t-2")
    assert failed.value.may_have_been_applied is (method == "put")


def test_each_attempt_has_an_id_that_the_node_repeats() -> None:
    server = ScriptedServer([_repeating, _repeating])
    spine = Spine("http://a", namespace="acme", transport=server)
    for _ in range(2):
        spine.memories.get("t-1")
    first, second = (request.headers["Spine-Request-Id"] for request in server.requests)
    assert first != second


def _repeating(request: Request) -> Answer:
    return ok(spine_request_id=request.headers["Spine-Request-Id"])
