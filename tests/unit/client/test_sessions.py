"""What a session promises is in the tokens it sends; none is lost, however calls overlap."""

import asyncio
import json
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace

import pytest

from memory_spine import AsyncSpine, Spine, operations
from memory_spine.effects import Answer, Request, Sleep
from memory_spine.environment import sleep, sleep_async
from memory_spine.errors import ConnectionFailed
from memory_spine.session import TOKENS_MAX, Session
from unit.client.scripted_server import (
    MEMORY,
    AsyncScriptedServer,
    ScriptedServer,
    lost,
    ok,
    problem,
)
from unit.http.harness import DEADLINE_S, a_moment


def test_the_token_of_each_answer_goes_with_the_next_request() -> None:
    server = ScriptedServer([ok(spine_session="s1"), ok(spine_session="s2"), ok()])
    core = server.core()
    for _ in range(3):
        server.run(operations.get(core, "t-1", ()))
    assert [request.headers.get("Spine-Session") for request in server.requests] == [
        None,
        "s1",
        "s2",
    ]


def test_a_refusal_teaches_its_token_too() -> None:
    server = ScriptedServer([problem("not-found", 404), ok()])
    server.replies[0].headers["spine-session"] = "s1"  # type: ignore[union-attr,index]
    core = server.core()
    assert server.run(operations.get_or_none(core, "t-1", ())) is None
    assert core.session.token == "s1"


def test_an_answer_replaces_only_the_tokens_its_request_carried() -> None:
    session = Session("t0")
    sent = session.tokens
    session.learn(sent, "a")
    session.learn(sent, "b")  # a parallel request, sent before `a` came
    assert set(session.tokens) == {"a", "b"}
    session.learn(session.tokens, "ab")
    assert session.tokens == ("ab",)


def test_parallel_answers_lose_no_token() -> None:
    session = Session()
    threads = [
        threading.Thread(target=session.learn, args=((), f"t{number}")) for number in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(session.tokens) == {f"t{number}" for number in range(50)}


def test_more_tokens_than_a_request_may_carry_are_merged_first() -> None:
    server = ScriptedServer([ok({"token": "merged"}), ok()])
    core = server.core()
    core.session.add("a", "b", "c", "d", "e")
    server.run(operations.get(core, "t-1", ()))
    merge, read = server.requests
    assert merge.url == "http://a/v1/session:merge"
    assert merge.body == b'{"tokens":["a","b","c","d","e"]}'
    assert read.headers["Spine-Session"] == "merged"


def test_merging_keeps_what_was_learned_meanwhile() -> None:
    core = ScriptedServer().core()
    core.session.add("a", "b", "c", "d", "e")

    def merge(_: object) -> object:
        core.session.learn((), "late")
        return ok({"token": "merged"})

    server = ScriptedServer([merge, ok()])  # type: ignore[list-item]
    server.run(operations.get(core, "t-1", ()))
    assert server.requests[1].headers["Spine-Session"] == "late,merged"


def test_parallel_writes_leave_a_session_token_that_one_header_can_carry() -> None:
    server = ScriptedServer()
    core = server.core()
    writes = [operations.put(core, "t-1", "hello", {}, key=None) for _ in range(100)]
    for write in writes:
        next(write)  # all are sent before the first answer comes
    merged = 0
    for number, write in enumerate(writes):
        with suppress(StopIteration):
            effect = write.send(ok(spine_session=f"t{number}"))
            while isinstance(effect, Request):
                assert effect.url.endswith("/v1/session:merge")
                merged += 1
                effect = write.send(ok({"token": f"m{merged}"}))
    assert len(core.session.tokens) <= TOKENS_MAX
    assert core.session.tokens[-1] == "t99"
    assert merged < 50


def test_who_merges_also_takes_what_came_while_it_held_the_claim() -> None:
    core = ScriptedServer().core()
    core.session.add("a", "b", "c", "d")
    first, second = (operations.delete(core, "t-1", key=None) for _ in range(2))
    next(first), next(second)
    core.session.add("e")
    assert isinstance(first.send(ok(status=204)), Request)  # merges
    core.session.add(*(f"late{number}" for number in range(5)))
    with pytest.raises(StopIteration):
        second.send(ok(status=204))  # leaves it to the first
    core.session.add(*(f"late{number}" for number in range(5, 9)))
    again = first.send(ok({"token": "m1"}))
    assert isinstance(again, Request)
    assert b"late8" in (again.body or b"")
    with pytest.raises(StopIteration):
        first.send(ok({"token": "m2"}))
    assert core.session.token == "m2"


def test_a_merge_that_fails_after_a_call_does_not_fail_the_call() -> None:
    server = ScriptedServer([ok(spine_session="s"), problem("not-implemented", 501)])
    core = server.core()
    write = operations.put(core, "t-1", "hello", {}, key=None)
    request = next(write)
    core.session.add("a", "b", "c", "d", "e")
    assert isinstance(request, Request)
    merge = write.send(ok(spine_session="s"))
    assert isinstance(merge, Request)
    with pytest.raises(StopIteration) as done:
        write.send(problem("not-implemented", 501))
    assert done.value.value.id == "t-1"


def test_a_call_that_waits_for_a_merge_ends_by_its_deadline() -> None:
    server = ScriptedServer()
    core = server.core(timeout=1.0)
    core.session.add("a", "b", "c", "d", "e")
    first = operations.get(core, "t-1", ())
    next(first)  # merges, and hears nothing
    with pytest.raises(ConnectionFailed, match="not merged in time"):
        server.run(operations.get(core, "t-1", ()))
    assert sum(server.sleeps) == pytest.approx(1.0, abs=0.01)


def test_calls_at_once_wait_for_one_merge() -> None:
    core = ScriptedServer().core()
    core.session.add("a", "b", "c", "d", "e")
    first, second = (operations.get(core, "t-1", ()) for _ in range(2))
    merge = next(first)
    assert isinstance(merge, Request)
    assert isinstance(next(second), Sleep)
    first.send(ok({"token": "merged"}))
    read = second.send(None)
    assert isinstance(read, Request)
    assert read.headers["Spine-Session"] == "merged"


def test_tokens_for_two_merges_are_merged_at_once() -> None:
    core = ScriptedServer().core()
    core.session.add(*(f"t{number}" for number in range(33)))
    calls = [operations.get(core, "t-1", ()) for _ in range(3)]
    first, second = next(calls[0]), next(calls[1])
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert isinstance(next(calls[2]), Sleep)
    claimed = [set(json.loads(merge.body or b"")["tokens"]) for merge in (first, second)]
    assert (claimed[0] & claimed[1], len(claimed[0] | claimed[1])) == (set(), 32)
    calls[0].send(ok({"token": "m1"}))
    calls[1].send(ok({"token": "m2"}))
    read = calls[2].send(None)
    assert isinstance(read, Request)
    assert read.headers["Spine-Session"] == "t32,m1,m2"


def test_who_waits_for_a_merge_is_woken_by_its_end() -> None:
    core = ScriptedServer().core(timeout=DEADLINE_S)
    core.session.add("a", "b", "c", "d", "e")
    first, second = (operations.get(core, "t-1", ()) for _ in range(2))
    next(first)
    waits = next(second)
    assert isinstance(waits, Sleep)
    thread = threading.Thread(target=sleep, args=(waits.seconds, waits.until))
    thread.start()
    first.send(ok({"token": "merged"}))
    thread.join(DEADLINE_S / 2)
    assert not thread.is_alive()


def test_tokens_that_another_thread_made_few_are_not_waited_for() -> None:
    class Racing(Session):
        def claim_merge(self) -> tuple[str, ...]:
            self.learn(self.tokens, "by-another-thread")
            return super().claim_merge()

    core = replace(ScriptedServer().core(), session=Racing("a,b,c,d,e"))
    read = next(operations.get(core, "t-1", ()))
    assert isinstance(read, Request)
    assert read.headers["Spine-Session"] == "by-another-thread"


async def test_a_task_is_woken_by_another_or_by_a_thread_or_by_the_time() -> None:
    here: Future[None] = Future()
    waits = asyncio.create_task(sleep_async(DEADLINE_S, here))
    await a_moment()
    here.set_result(None)
    async with asyncio.timeout(DEADLINE_S / 2):
        await waits
        elsewhere: Future[None] = Future()
        waits = asyncio.create_task(sleep_async(DEADLINE_S, elsewhere))
        await asyncio.to_thread(elsewhere.set_result, None)
        await waits
        await sleep_async(DEADLINE_S, elsewhere)  # done before
        await sleep_async(0.01, Future())


def test_a_merge_that_fails_leaves_the_turn_to_the_next_call() -> None:
    core = ScriptedServer().core(attempts=1)
    core.session.add("a", "b", "c", "d", "e")
    first, second = (operations.get(core, "t-1", ()) for _ in range(2))
    next(first)
    with pytest.raises(ConnectionFailed):
        first.throw(lost())
    merge = next(second)
    assert isinstance(merge, Request)
    assert merge.url.endswith("/v1/session:merge")
    second.close()  # a cancelled task
    assert isinstance(next(operations.get(core, "t-1", ())), Request)


def test_a_token_handed_over_is_sent_by_the_other_client() -> None:
    server = ScriptedServer([ok(spine_session="s1"), ok()])
    first = Spine("http://a", namespace="acme", transport=server)
    first.memories.put("t-1", "hello")
    Spine("http://b", namespace="acme", session=first.session_token, transport=server).memories.get(
        "t-1"
    )
    assert server.requests[1].headers["Spine-Session"] == "s1"


def test_merge_session_adds_to_what_is_known() -> None:
    spine = Spine("http://a", session="mine", transport=ScriptedServer())
    spine.merge_session("theirs,others")
    spine.merge_session("mine")
    assert spine.session_token == "mine,theirs,others"


def test_a_block_has_a_session_of_its_own_and_leaves_the_clients_alone() -> None:
    server = ScriptedServer([ok(spine_session="inside")])
    spine = Spine("http://a", namespace="acme", session="outside", transport=server)
    with spine.session() as session:
        spine.ns("other").memories.get("t-1")
        assert session.token == "inside" == spine.session_token
    assert "Spine-Session" not in server.requests[0].headers
    assert spine.session_token == "outside"


def _echo(request: Request) -> Answer:
    name = request.url.rsplit("/", 1)[-1]
    return ok({**MEMORY, "id": name}, spine_session=name)


async def test_blocks_of_tasks_do_not_mix() -> None:
    server = ScriptedServer([_echo] * 4)
    spine = AsyncSpine("http://a", namespace="acme", transport=AsyncScriptedServer(server))
    entered = asyncio.Barrier(2)

    async def work(name: str) -> str | None:
        with spine.session():
            await entered.wait()
            await spine.memories.get(name)
            await entered.wait()
            return spine.session_token

    assert set(await asyncio.gather(work("one"), work("two"))) == {"one", "two"}


def test_views_share_the_session_unless_they_are_given_one() -> None:
    spine = Spine("http://a", session="mine", transport=ScriptedServer())
    assert spine.ns("x").session_token == "mine"
    assert spine.with_options(timeout=1.0).session_token == "mine"
    other = spine.with_options(session="theirs")
    other.merge_session("more")
    assert (other.session_token, spine.session_token) == ("theirs,more", "mine")
