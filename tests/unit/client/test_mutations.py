"""`mutate`: no change of anybody is lost, and a lost race costs one round trip."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from memory_spine import AsyncSpine, ConfigError, Draft, Memory, PreconditionFailed, Spine
from memory_spine.core import Core
from memory_spine.effects import Answer, Done, Operation, Request, Sleep, resume
from memory_spine.errors import ConnectionFailed, FenceStale
from memory_spine.mutations import mutate
from unit.client.scripted_server import (
    MEMORY,
    AsyncScriptedServer,
    ScriptedServer,
    lost,
    ok,
    problem,
)

GONE = problem("gone", 410)


def _memory(version: str, n: int = 1, **more: object) -> dict[str, Any]:
    return {**MEMORY, "version": version, "metadata": {"n": n}, **more}


def _refusal(
    current: dict[str, Any] | None = None, outcome: str = "not-applied", **more: object
) -> Answer:
    told = {} if current is None else {"current": current, "current_version": current["version"]}
    return problem("precondition-failed", 412, outcome=outcome, **told, **more)


def _add_one(memory: Memory | None) -> Memory | Draft:
    if memory is None:
        return Draft("hello", metadata={"n": 1})
    return memory.replace(metadata={"n": memory.metadata["n"] + 1})


def _run(server: ScriptedServer, core: Core | None = None, **more: Any) -> Memory | None:
    options = {"fence": None, "timeout": None, **more}
    return server.run(mutate(core or server.core(), "t-1", _add_one, **options))


def _sent(server: ScriptedServer) -> list[tuple[str, str | None]]:
    return [
        (request.method, request.headers.get("If-Match", request.headers.get("If-None-Match")))
        for request in server.requests
    ]


def test_it_reads_strongly_and_writes_on_the_version_it_saw() -> None:
    server = ScriptedServer([ok(_memory("v1")), ok(_memory("v2", 2))])
    core = server.core(consistency="eventual")
    stored = _run(server, core, fence="deploy=7")
    assert stored is not None
    assert stored.version == "v2"
    read, write = server.requests
    assert read.headers["Spine-Consistency"] == "strong"
    assert "Idempotency-Key" not in read.headers
    assert write.headers["If-Match"] == '"v1"'
    assert write.headers["Prefer"] == "return=representation"
    assert write.headers["Spine-Fence"] == "deploy=7"
    assert json.loads(write.body or b"")["metadata"] == {"n": 2}


def test_a_lost_race_costs_one_round_trip_and_takes_another_key() -> None:
    server = ScriptedServer([ok(_memory("v1")), _refusal(_memory("v2", 7)), ok(_memory("v3", 8))])
    _run(server)
    assert _sent(server) == [("GET", None), ("PUT", '"v1"'), ("PUT", '"v2"')]
    assert json.loads(server.requests[2].body or b"")["metadata"] == {"n": 8}
    first, second = (request.headers["Idempotency-Key"] for request in server.requests[1:])
    assert first != second
    assert server.sleeps == [0.05]  # all of what may be drawn


def test_a_retried_attempt_keeps_its_key() -> None:
    server = ScriptedServer([ok(_memory("v1")), lost(), ok(_memory("v2", 2))])
    _run(server)
    first, second = (request.headers["Idempotency-Key"] for request in server.requests[1:])
    assert first == second


def test_what_is_not_there_is_created_and_only_then() -> None:
    server = ScriptedServer([GONE, _refusal(_memory("v1")), ok(_memory("v2", 2))])
    _run(server)
    assert _sent(server) == [("GET", None), ("PUT", "*"), ("PUT", '"v1"')]
    assert json.loads(server.requests[1].body or b"") == {"content": "hello", "metadata": {"n": 1}}


def test_what_was_deleted_meanwhile_is_created() -> None:
    server = ScriptedServer([ok(_memory("v1")), _refusal(), ok(_memory("v3", 1))])
    _run(server)
    assert _sent(server) == [("GET", None), ("PUT", '"v1"'), ("PUT", "*")]


@pytest.mark.parametrize(
    ("first", "refusal"),
    [
        (ok(_memory("v1")), problem("precondition-failed", 412, outcome="not-applied", current_version="v2")),
        (ok(_memory("v1")), _refusal(_memory("v2", id="t-2"))),
        (GONE, _refusal()),
    ],
)  # fmt: skip
def test_what_a_refusal_does_not_tell_is_read(first: Answer, refusal: Answer) -> None:
    server = ScriptedServer([first, refusal, ok(_memory("v2", 5)), ok(_memory("v3", 6))])
    _run(server)
    assert _sent(server)[2:] == [("GET", None), ("PUT", '"v2"')]


@pytest.mark.parametrize("found", [ok(_memory("v1")), GONE])
def test_none_leaves_all_as_it_is(found: Answer) -> None:
    server = ScriptedServer([found])
    memories = Spine("http://a", namespace="acme", transport=server).memories
    memory = memories.mutate("t-1", lambda _: None)
    assert (memory is None) == (found is GONE)
    assert len(server.requests) == 1


def test_it_gives_up_when_its_time_is_over() -> None:
    def refuse(request: Request) -> Answer:
        server.now_s += min(0.3, request.timeout_s)
        return _refusal(_memory("v2"))

    server = ScriptedServer([ok(_memory("v1"))])
    server.replies += [refuse] * 9
    with pytest.raises(PreconditionFailed):
        _run(server, timeout=2.0)
    assert server.now_s <= 1002.0
    assert len(server.requests) == 6


def test_the_time_of_the_client_is_the_time_of_all_attempts() -> None:
    server = ScriptedServer([ok(_memory("v1")), *[_refusal(_memory("v2"))] * 99])
    with pytest.raises(PreconditionFailed):
        _run(server, server.core(timeout=1.0))
    assert server.sleeps == [0.05, 0.1, 0.2, 0.2, 0.2, 0.2]


def test_a_refusal_that_forgot_the_attempt_is_not_followed_by_another() -> None:
    server = ScriptedServer([ok(_memory("v1")), lost(), _refusal(_memory("v9"), "indeterminate")])
    with pytest.raises(PreconditionFailed) as failed:
        _run(server)
    assert failed.value.may_have_been_applied


FORGOTTEN = {"outcome": "indeterminate", "doubt": "earlier-request"}


def test_a_doubt_about_earlier_requests_is_none_where_there_was_none() -> None:
    server = ScriptedServer(
        [ok(_memory("v1")), _refusal(_memory("v9"), **FORGOTTEN), ok(_memory("v10"))]
    )
    _run(server)
    assert _sent(server)[1:] == [("PUT", '"v1"'), ("PUT", '"v9"')]


def test_a_doubt_about_earlier_requests_stays_where_an_answer_was_lost() -> None:
    server = ScriptedServer([ok(_memory("v1")), lost(), _refusal(_memory("v9"), **FORGOTTEN)])
    with pytest.raises(PreconditionFailed) as failed:
        _run(server)
    assert failed.value.may_have_been_applied


def test_a_doubt_about_earlier_requests_stays_with_a_key_of_the_caller() -> None:
    for key, doubted in (("mine", True), (None, False)):
        server = ScriptedServer([_refusal(_memory("v9"), **FORGOTTEN)])
        spine = Spine("http://x", namespace="acme", transport=server)
        with pytest.raises(PreconditionFailed) as failed:
            spine.memories.put("t-1", "x", if_match="v1", key=key)
        assert failed.value.may_have_been_applied is doubted


def test_a_clean_refusal_after_a_lost_answer_speaks_for_both() -> None:
    server = ScriptedServer([ok(_memory("v1")), lost(), _refusal(_memory("v2")), ok(_memory("v3"))])
    _run(server)
    assert _sent(server)[1:] == [("PUT", '"v1"'), ("PUT", '"v1"'), ("PUT", '"v2"')]


def test_a_creation_that_may_still_happen_is_not_followed_by_another_change() -> None:
    server = ScriptedServer([GONE, lost(), _refusal(_memory("v2"))])
    with pytest.raises(PreconditionFailed):
        _run(server)
    assert len(server.requests) == 3


def test_a_write_that_may_have_been_applied_ends_it() -> None:
    server = ScriptedServer([ok(_memory("v1")), *[lost()] * 4])
    with pytest.raises(ConnectionFailed) as failed:
        _run(server)
    assert failed.value.may_have_been_applied
    assert len(server.requests) == 5


def test_a_lost_lease_ends_it() -> None:
    server = ScriptedServer([ok(_memory("v1")), problem("fence-stale", 412, outcome="not-applied")])
    with pytest.raises(FenceStale):
        _run(server, fence="deploy=7")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: {"content": "x"}, "must return a Memory, a Draft or None, not dict"),
        (lambda memory: memory.replace(id="t-2"), "returned the memory 't-2'"),
    ],
)
def test_what_the_function_may_not_return_is_not_sent(change: Any, message: str) -> None:
    server = ScriptedServer([ok(_memory("v1"))])
    memories = Spine("http://a", namespace="acme", transport=server).memories
    with pytest.raises((TypeError, ConfigError), match=message):
        memories.mutate("t-1", change)
    assert len(server.requests) == 1


async def test_the_awaiting_client_does_the_same() -> None:
    server = ScriptedServer([ok(_memory("v1")), ok(_memory("v2", 2))])
    transport = AsyncScriptedServer(server)
    async with AsyncSpine("http://a", namespace="acme", transport=transport) as spine:
        memory = await spine.memories.mutate("t-1", _add_one, timeout=3.0)
    assert memory is not None
    assert memory.version == "v2"


@dataclass
class Register:
    """One memory that is written on conditions only, and a network that may lose answers."""

    chance: random.Random
    current: dict[str, Any] | None = None
    applied: dict[str, dict[str, Any]] = field(default_factory=dict)  # key → what came of it

    def answer(self, request: Request) -> Answer | ConnectionFailed:
        answer = self._answer(request)
        return lost() if self.chance.random() < 0.1 else answer

    def _answer(self, request: Request) -> Answer:
        if request.method == "GET":
            return problem("not-found", 404) if self.current is None else ok(self.current)
        key = request.headers["Idempotency-Key"]
        if key in self.applied:
            return ok(self.applied[key])
        stands = None if self.current is None else f'"{self.current["version"]}"'
        wanted = request.headers.get("If-Match")
        if stands != wanted:
            return _refusal(self.current)
        version = f"v{len(self.applied):04}"
        n = json.loads(request.body or b"")["metadata"]["n"]
        self.current = self.applied[key] = _memory(version, n)
        return ok(self.current)


@pytest.mark.parametrize("seed", range(20))
def test_of_many_increments_at_once_none_is_lost_or_done_twice(seed: int) -> None:
    chance = random.Random(seed)
    register, server = Register(chance), ScriptedServer()
    core = server.core(attempts=50, timeout=1e9)
    running: list[tuple[Operation[Memory | None], Any]] = []
    left = [10] * 6
    done = failed = 0
    while running or any(left):
        while len(running) < 6 and any(left):
            left[left.index(max(left))] -= 1
            options: dict[str, Any] = {"fence": None, "timeout": None}
            running.append((mutate(core, "t-1", _add_one, **options), None))
        operation, outcome = running.pop(chance.randrange(len(running)))
        try:
            effect = resume(operation, outcome)
        except PreconditionFailed:  # a creation that may still happen
            failed += 1
            continue
        if isinstance(effect, Done):
            done += 1
        elif isinstance(effect, Sleep):
            running.append((operation, None))
        else:
            assert isinstance(effect, Request)
            running.append((operation, register.answer(effect)))
    assert register.current is not None
    assert done <= register.current["metadata"]["n"] <= done + failed
    assert done > 50
