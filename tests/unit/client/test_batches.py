"""A batch sends all its operations, within the limits of the server, and no failure is silent."""

import json
from contextlib import suppress
from typing import Any

import pytest

from memory_spine import Spine
from memory_spine.batch import BYTES_MAX, OPERATIONS_MAX
from memory_spine.effects import Answer, Request
from memory_spine.errors import (
    BatchFailed,
    ConfigError,
    ConnectionFailed,
    NotFound,
    NotSent,
    SpineError,
)
from spine_node.http import limits
from unit.client.scripted_server import MEMORY, ScriptedServer, lost, ok

PROBLEM = {"code": "not-found", "status": 404}


def _spine(server: ScriptedServer) -> Spine:
    return Spine("http://a", namespace="acme", transport=server, attempts=1)


def _operations(request: Request) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(request.body or b"")["operations"]
    return found


def _all_succeed(request: Request) -> Answer:
    results = [{"status": 201, "id": f"id-{n}"} for n, _ in enumerate(_operations(request))]
    return ok({"results": results, "failed": 0})


def _create(server: ScriptedServer, count: int, content: str = "x") -> None:
    with _spine(server).memories.batch() as batch:
        for _ in range(count):
            batch.create(content)


def test_a_batch_is_one_request_with_one_key() -> None:
    server = ScriptedServer([ok({"results": [{"status": 201, "memory": MEMORY}] * 2, "failed": 0})])
    with _spine(server).memories.batch(key="k") as batch:
        batch.put("t-1", "hello", tags=["task"])
        batch.get("t-2")
        with pytest.raises(RuntimeError):
            _ = batch.result
    (request,) = server.requests
    assert request.url == "http://a/v1/ns/acme/memories:batch"
    assert request.headers["Idempotency-Key"] == "k"
    assert _operations(request) == [
        {"op": "put", "id": "t-1", "body": {"content": "hello", "tags": ["task"]}},
        {"op": "get", "id": "t-2"},
    ]
    assert [item.error for item in batch.result.results] == [None, None]


@pytest.mark.parametrize("check", [True, False])
def test_an_operation_that_failed_raises_unless_the_caller_looks_itself(check: bool) -> None:
    answer = {"results": [{"status": 201}, {"status": 404, "problem": PROBLEM}], "failed": 1}
    raised: list[BatchFailed] = []
    try:
        with _spine(ScriptedServer([ok(answer)])).memories.batch(check=check) as batch:
            batch.create("x")
            batch.get("t-2")
    except BatchFailed as failure:
        raised.append(failure)
    assert bool(raised) == check
    assert batch.result.failed == 1
    assert isinstance(batch.result.results[1].error, NotFound)
    assert batch.result.results[0].error is None
    for one in raised:
        assert one.result == batch.result
        assert str(one).startswith("1 of 2 operations failed: not-found")


def test_a_batch_whose_block_raises_is_not_sent() -> None:
    server = ScriptedServer()
    with suppress(ZeroDivisionError), _spine(server).memories.batch() as batch:
        batch.delete("t-1")
        raise ZeroDivisionError
    assert not server.requests


def test_an_empty_batch_is_not_sent() -> None:
    server = ScriptedServer()
    with _spine(server).memories.batch() as batch:
        pass
    assert not server.requests
    assert batch.result.results == ()


def test_more_operations_than_a_request_takes_go_in_several_with_keys_of_their_own() -> None:
    server = ScriptedServer([_all_succeed] * 3)
    with _spine(server).memories.batch(key="k") as batch:
        for number in range(2 * OPERATIONS_MAX + 1):
            batch.put(f"m{number}", "x")
    sent = [_operations(request) for request in server.requests]
    assert [len(operations) for operations in sent] == [OPERATIONS_MAX, OPERATIONS_MAX, 1]
    assert [op["id"] for operations in sent for op in operations] == [
        f"m{number}" for number in range(2 * OPERATIONS_MAX + 1)
    ]
    keys = [request.headers["Idempotency-Key"] for request in server.requests]
    assert keys == ["k", "k.1", "k.2"]
    assert len(batch.result.results) == 2 * OPERATIONS_MAX + 1


def test_more_bytes_than_a_request_takes_go_in_several() -> None:
    server = ScriptedServer([_all_succeed] * 3)
    with _spine(server).memories.batch():
        pass
    with _spine(server).memories.batch() as batch:
        for number in range(300):
            batch.put(f"m{number}", "x" * 60_000)
    assert [len(request.body or b"") <= BYTES_MAX for request in server.requests] == [True] * 3
    assert len(batch.result.results) == 300


def test_the_limits_are_the_servers() -> None:
    assert limits.BATCH_OPERATIONS_MAX == OPERATIONS_MAX
    assert limits.BATCH_BYTES_MAX == BYTES_MAX


def test_a_later_request_that_fails_leaves_the_results_of_the_earlier_ones() -> None:
    server = ScriptedServer([_all_succeed, lost()])
    with pytest.raises(BatchFailed) as failed:
        _create(server, 2 * OPERATIONS_MAX + 1)
    errors = [item.error for item in failed.value.result.results]
    assert len(server.requests) == 2
    assert errors[:OPERATIONS_MAX] == [None] * OPERATIONS_MAX
    assert all(isinstance(error, ConnectionFailed) for error in errors[OPERATIONS_MAX:-1])
    assert isinstance(errors[-1], NotSent)
    assert failed.value.may_have_been_applied
    assert isinstance(failed.value.__cause__, ConnectionFailed)


def test_a_first_request_that_fails_raises_as_every_call_does() -> None:
    with pytest.raises(ConnectionFailed):
        _create(ScriptedServer([lost()]), 1)


def test_a_result_too_few_is_a_failure_and_not_a_success_of_the_others() -> None:
    server = ScriptedServer([ok({"results": [{"status": 201}], "failed": 0})])
    with pytest.raises(SpineError, match="1 results came for 2") as failed:
        _create(server, 2)
    assert failed.value.may_have_been_applied


def test_an_operation_that_no_request_can_carry_is_refused_where_it_is_added() -> None:
    with pytest.raises(ConfigError, match="larger than a batch"):
        _create(ScriptedServer(), 1, "x" * BYTES_MAX)
