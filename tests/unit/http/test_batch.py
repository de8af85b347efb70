"""A batch: many operations, each with its own result, none in the way of another."""

import asyncio
from typing import Any

import pytest

from spine_core.api_keys import Scope
from spine_core.errors import ProblemError
from spine_core.records.sessions import open_session
from spine_node.http.limits import BATCH_AT_ONCE
from spine_node.ports import Fence
from unit.http.harness import MEMORIES, SESSION_KEY, Answer, HttpHarness, Keyring, until

BATCH = MEMORIES + ":batch"


async def run(harness: HttpHarness, *operations: dict[str, Any], **options: Any) -> Answer:
    return await harness.ask("POST", BATCH, {"operations": operations}, **options)


def put(memory_id: str, content: str = "x") -> dict[str, Any]:
    return {"op": "put", "id": memory_id, "body": {"content": content}}


async def test_results_stand_in_request_order(harness: HttpHarness) -> None:
    await harness.ask("PUT", f"{MEMORIES}/old", {"content": "o"})
    answer = await run(
        harness,
        put("old", "new"),
        {"op": "create", "body": {"content": "c"}},
        {"op": "get", "id": "nothing"},
        {"op": "delete", "id": "d"},
        put("fresh"),
    )
    results = answer.json["results"]
    assert answer.status == 200
    assert [result["status"] for result in results] == [200, 201, 404, 204, 201]
    assert answer.json["failed"] == 1
    assert results[0]["memory"]["content"] == "new"
    assert results[0]["etag"] == f'"{results[0]["memory"]["version"]}"'
    assert results[1]["id"] == results[1]["memory"]["id"]
    assert results[2]["problem"]["code"] == "not-found"
    assert results[3] == {"status": 204, "id": "d"}


async def test_a_get_in_a_batch_is_a_get(harness: HttpHarness) -> None:
    put_answer = await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x"})
    await harness.ask("DELETE", f"{MEMORIES}/gone")
    answer = await run(harness, {"op": "get", "id": "n"}, {"op": "get", "id": "gone"})
    assert answer.json["results"][0]["memory"] == put_answer.json
    assert answer.json["results"][1]["problem"]["code"] == "gone"


async def test_one_failure_leaves_the_others_alone(harness: HttpHarness) -> None:
    answer = await run(
        harness,
        put("a"),
        {"op": "put", "id": "b", "body": {"content": "x", "importance": 7}},
        {"op": "put", "id": "c", "body": {"content": "x", "id": "other"}},
        {"op": "put", "id": "d", "body": {"contents": "typo"}},
        {"op": "put", "id": "e", "body": {"metadata": {"x": 2**70}}},
        {"op": "put", "id": "bad id", "body": {"content": "x"}},
        {"op": "put", "id": "f", "body": {"content": "x" * (1100 * 1024)}},
        put("z"),
    )
    results = answer.json["results"]
    assert [result["status"] for result in results] == [201, 422, 422, 422, 422, 422, 413, 201]
    assert answer.json["failed"] == 6
    assert all(result["problem"]["outcome"] == "not-applied" for result in results[1:-1])
    assert {memory_id for _, memory_id in harness.engine.records} == {"a", "z"}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "put", "body": {"content": "x"}},
        {"op": "put", "id": "a"},
        {"op": "get"},
        {"op": "get", "id": "a", "body": {}},
        {"op": "delete", "id": "a", "body": {"content": "x"}},
        {"op": "create", "id": "a", "body": {"content": "x"}},
        {"op": "create"},
    ],
)
async def test_an_operation_has_what_its_kind_needs_and_no_more(
    harness: HttpHarness, operation: dict[str, Any]
) -> None:
    answer = await run(harness, operation)
    assert (answer.json["results"][0]["status"], answer.json["failed"]) == (422, 1)
    assert harness.engine.seen == []


@pytest.mark.parametrize(
    ("condition", "meant"),
    [
        ({"if_match": '"v"'}, {"if_match": "v"}),
        ({"if_match": "*"}, {"if_match": "*"}),
        ({"if_none_match": "*"}, {"create_only": True}),
        ({"fence": {"lease": "k", "fence": 1}}, {"fence": Fence("k", 1)}),
        ({"op": "patch"}, {"patch": b'{"content":"a"}', "memory": None}),
    ],
)
async def test_a_condition_in_a_batch_reaches_the_engine(
    harness: HttpHarness, condition: dict[str, Any], meant: dict[str, Any]
) -> None:
    await run(harness, {"op": "put", "id": "a", "body": {"content": "a"}} | condition)
    (request,) = harness.engine.seen
    assert {name: getattr(request, name) for name in meant} == meant


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ({"op": "get", "id": "a", "if_match": "*"}, "if_match"),
        ({"op": "create", "body": {"content": "x"}, "if_none_match": "*"}, "if_none_match"),
        ({"op": "delete", "id": "a", "if_none_match": "*"}, "if_none_match"),
        ({"op": "put", "id": "a", "body": {"content": "x"}, "if_match": "v"}, "if_match"),
    ],
)
async def test_a_condition_that_makes_no_sense_fails_its_operation_alone(
    harness: HttpHarness, operation: dict[str, Any], path: str
) -> None:
    answer = await run(harness, operation, put("b"))
    assert answer.json["results"][0]["problem"]["errors"][0]["path"] == path
    assert answer.json["results"][1]["status"] == 201


async def test_a_touch_renews_each_memory_and_answers_in_order(harness: HttpHarness) -> None:
    await harness.ask("PUT", f"{MEMORIES}/a", {"content": "x", "ttl_seconds": 60})
    harness.clock.ms += 30_000
    answer = await harness.ask("POST", f"{MEMORIES}:touch", {"ids": ["none", "a"]})
    assert [result["status"] for result in answer.json["results"]] == [404, 200]
    assert answer.json["failed"] == 1
    read = await harness.ask("GET", f"{MEMORIES}/a")
    assert read.json["expires_at"] == answer.json["results"][1]["memory"]["expires_at"]


@pytest.mark.parametrize("ids", [[], ["a", "a"], ["a b"], [1], [str(i) for i in range(501)]])
async def test_a_touch_of_nonsense_is_refused(harness: HttpHarness, ids: list[Any]) -> None:
    answer = await harness.ask("POST", f"{MEMORIES}:touch", {"ids": ids})
    assert answer.status == 422
    assert harness.engine.seen == []


@pytest.mark.parametrize(
    "condition", [{"If-Match": '"v"'}, {"If-None-Match": "*"}, {"Spine-Fence": "k=1"}]
)
async def test_a_condition_over_a_whole_batch_is_refused(
    harness: HttpHarness, condition: dict[str, str]
) -> None:
    answer = await run(harness, put("a"), headers=condition)
    assert (answer.status, answer.json["errors"][0]["path"]) == (400, next(iter(condition)))
    assert harness.engine.records == {}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"operations": []}, "operations"),
        ({"operations": [put(str(i)) for i in range(501)]}, "operations"),
        ({"operations": [put("a"), {"op": "get", "id": "a"}]}, "operations[1].id"),
        ({"operations": [{"op": "move", "id": "a"}]}, "operations[0].op"),
        ({"operations": [{"id": "a"}]}, "operations[0]"),
        ({"operations": [put("a") | {"if_none_match": "x"}]}, "operations[0].if_none_match"),
        ({"operations": [put("a") | {"ifmatch": "x"}]}, "operations[0].ifmatch"),
        ({}, ""),
    ],
)
async def test_a_batch_that_is_wrong_as_a_whole_does_nothing(
    harness: HttpHarness, body: Any, path: str
) -> None:
    answer = await harness.ask("POST", BATCH, body)
    assert (answer.status, answer.json["outcome"]) == (422, "not-applied")
    assert answer.json["errors"][0]["path"] == path
    assert harness.engine.seen == []


async def test_the_whole_batch_has_a_larger_body(harness: HttpHarness) -> None:
    large = [put(str(i), "x" * 60_000) for i in range(100)]
    assert (await run(harness, *large)).json["failed"] == 0
    assert (await harness.ask("POST", BATCH, b" " * (8 * 1024 * 1024 + 1))).status == 413


async def test_each_operation_has_its_own_part_of_the_key(harness: HttpHarness) -> None:
    headers = {"Idempotency-Key": "k"}
    create = {"op": "create", "body": {"content": "x"}}
    first = await run(harness, create, create, headers=headers)
    again = await run(harness, create, create, headers=headers)
    assert [r["id"] for r in first.json["results"]] == [r["id"] for r in again.json["results"]]
    assert len(harness.engine.records) == 2
    keys = [request.idempotency_key for request in harness.engine.seen]  # type: ignore[union-attr]
    assert keys == ["k/0", "k/1"] * 2


async def test_the_scope_is_asked_for_each_operation(keyring: Keyring) -> None:
    key = keyring.add([Scope.READ], ["acme"])
    harness = HttpHarness(keyring.file)
    answer = await run(harness, put("a"), {"op": "get", "id": "b"}, key=key)
    assert [result["status"] for result in answer.json["results"]] == [403, 404]
    assert harness.engine.records == {}


async def test_the_session_has_seen_every_write_of_the_batch(harness: HttpHarness) -> None:
    answer = await run(harness, *[put(str(i)) for i in range(16)])
    session = open_session(answer.headers["Spine-Session"], [SESSION_KEY])
    assert len(session.writes) == 16


async def test_operations_run_side_by_side_within_a_bound() -> None:
    harness = HttpHarness()
    engine, engine.gate = harness.engine, asyncio.Event()
    running = asyncio.create_task(run(harness, *[put(str(i)) for i in range(300)]))
    await until(lambda: engine.writing == BATCH_AT_ONCE)
    engine.gate.set()
    answer = await running
    assert answer.json["failed"] == 0
    assert engine.most_writing == BATCH_AT_ONCE


async def test_a_doubtful_operation_says_so(harness: HttpHarness) -> None:
    harness.engine.failure = ProblemError("deadline-exceeded", "too late")
    answer = await run(harness, put("a"))
    assert answer.json["results"][0]["problem"]["outcome"] == "indeterminate"
