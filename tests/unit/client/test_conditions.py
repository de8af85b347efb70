"""Conditional writes: what is sent of a condition, and what its refusal tells."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from memory_spine import AsyncSpine, ConfigError, PreconditionFailed, Spine
from memory_spine.errors import (
    FenceRequired,
    FenceStale,
    GuardConflict,
    LeaseHeld,
    NotFound,
    PreconditionRequired,
    SpineError,
)
from unit.client.scripted_server import MEMORY, AsyncScriptedServer, ScriptedServer, ok, problem

VERSION = str(MEMORY["version"])
ETAG = f'"{VERSION}"'
LEASE = SimpleNamespace(key="deploy.prod", fence=42)
CONDITIONS = ("If-Match", "If-None-Match", "Spine-Fence", "Prefer")
WHOLE = "return=representation"
Use = Callable[[Any], Any]


def _spine(server: ScriptedServer) -> Spine:
    return Spine("http://a", namespace="acme", transport=server)


SENT: list[tuple[Use, dict[str, str]]] = [
    (lambda m: m.put("t-1", "x"), {}),
    (lambda m: m.put("t-1", "x", if_match=ETAG), {"If-Match": ETAG, "Prefer": WHOLE}),
    (lambda m: m.put("t-1", "x", if_match=VERSION), {"If-Match": ETAG, "Prefer": WHOLE}),
    (lambda m: m.put("t-1", "x", if_match="*"), {"If-Match": "*", "Prefer": WHOLE}),
    (lambda m: m.put("t-1", "x", create_only=True), {"If-None-Match": "*", "Prefer": WHOLE}),
    (lambda m: m.put("t-1", "x", fence=LEASE), {"Spine-Fence": "deploy.prod=42"}),
    (lambda m: m.put("t-1", "x", fence="a=1"), {"Spine-Fence": "a=1"}),
    (
        lambda m: m.update("t-1", content="x", if_match=ETAG, fence=LEASE),
        {"If-Match": ETAG, "Prefer": WHOLE, "Spine-Fence": "deploy.prod=42"},
    ),
    (
        lambda m: m.delete("t-1", if_match=ETAG, fence=LEASE),
        {"If-Match": ETAG, "Prefer": WHOLE, "Spine-Fence": "deploy.prod=42"},
    ),
]


@pytest.mark.parametrize(("use", "headers"), SENT)
def test_a_condition_travels_in_its_headers(use: Use, headers: dict[str, str]) -> None:
    server = ScriptedServer([ok()])
    use(_spine(server).memories)
    (request,) = server.requests
    assert {
        name: request.headers[name] for name in CONDITIONS if name in request.headers
    } == headers
    assert len(request.headers["Idempotency-Key"]) == 26


def test_an_update_is_a_merge_patch_in_which_none_removes() -> None:
    server = ScriptedServer([ok()])
    _spine(server).memories.update(
        "t-1", content="new", metadata={"n": 2, "old": None}, ttl=None, agent_id=None, tags=["a"]
    )
    (request,) = server.requests
    assert (request.method, request.url) == ("PATCH", "http://a/v1/ns/acme/memories/t-1")
    assert request.headers["Content-Type"] == "application/merge-patch+json"
    assert json.loads(request.body or b"") == {
        "content": "new",
        "metadata": {"n": 2, "old": None},
        "ttl_seconds": None,
        "agent_id": None,
        "tags": ["a"],
    }


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda m: m.put("t-1", "x", if_match='W/"1"'), "if_match is an ETag"),
        (lambda m: m.put("t-1", "x", if_match='"1", "2"'), "if_match is an ETag"),
        (lambda m: m.put("t-1", "x", if_match=""), "if_match is an ETag"),
        (lambda m: m.put("t-1", "x", if_match=7), "if_match must be a text, not int"),
        (lambda m: m.put("t-1", "x", if_match=ETAG, create_only=True), "give one of them"),
        (lambda m: m.put("t-1", "x", create_only=1), "create_only must be True or False"),
        (lambda m: m.put("t-1", "x", fence="deploy"), "such as deploy.prod=42"),
        (lambda m: m.put("t-1", "x", fence="a=1\r\nX: y"), "such as deploy.prod=42"),
        (lambda m: m.delete("t-1", fence=42), "such as deploy.prod=42"),
        (lambda m: m.update("t-1"), "changes nothing"),
        (lambda m: m.update("t-1", tag=["a"]), "no field tag"),
        (lambda m: m.update("t-1", content=b"x"), "content must be a text"),
        (lambda m: m.update("t-1", importance="high"), "importance must be a number"),
        (lambda m: m.update("", content="x"), "memory_id is empty"),
        (lambda m: m.touch("t-1"), "memory_ids must be a sequence"),
        (lambda m: m.touch([""]), r"memory_ids\[0\] is empty"),
    ],
)
def test_a_wrong_condition_is_refused_before_anything_is_sent(use: Use, message: str) -> None:
    server = ScriptedServer()
    with pytest.raises((ConfigError, TypeError), match=message):
        use(_spine(server).memories)
    assert not server.requests


def test_a_refused_condition_tells_the_memory_as_it_is() -> None:
    refusal = problem("precondition-failed", 412, current=MEMORY, current_version=VERSION)
    with pytest.raises(PreconditionFailed) as refused:
        _spine(ScriptedServer([refusal])).memories.put("t-1", "x", if_match='"1"')
    assert refused.value.current is not None
    assert refused.value.current.etag == ETAG
    assert refused.value.current_version == VERSION


@pytest.mark.parametrize("current", [None, {"id": "t-1"}, "text"])
def test_a_refusal_without_the_memory_tells_none(current: object) -> None:
    refusal = problem("precondition-failed", 412, current=current)
    with pytest.raises(PreconditionFailed) as refused:
        _spine(ScriptedServer([refusal])).memories.put("t-1", "x", if_match='"1"')
    assert refused.value.current is None


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("fence-stale", 412, FenceStale),
        ("fence-required", 412, FenceRequired),
        ("guard-conflict", 409, GuardConflict),
        ("precondition-required", 428, PreconditionRequired),
        ("not-found", 404, NotFound),
    ],
)
def test_each_refusal_has_a_class_of_its_own(
    code: str, status: int, kind: type[SpineError]
) -> None:
    server = ScriptedServer([problem(code, status, outcome="not-applied")])
    with pytest.raises(kind) as refused:
        _spine(server).memories.update("t-1", content="x", fence=LEASE)
    assert not refused.value.may_have_been_applied


def test_a_held_lease_tells_its_holder_and_is_an_answer_to_no_retry() -> None:
    held = problem("lease-held", 409, holder="agent-3", retry_after_ms=8120, retryable=True)
    server = ScriptedServer([held])
    with pytest.raises(LeaseHeld) as refused:
        _spine(server).memories.delete("t-1")
    assert (refused.value.holder, refused.value.retry_after_ms) == ("agent-3", 8120)
    assert len(server.requests) == 1


def test_each_operation_of_a_batch_has_conditions_of_its_own() -> None:
    results = [{"status": 200}, {"status": 201}, {"status": 200}, {"status": 204}]
    server = ScriptedServer([ok({"results": results, "failed": 0})])
    with _spine(server).memories.batch() as batch:
        batch.put("a", "x", if_match=VERSION, tags=["t"])
        batch.put("b", "x", create_only=True)
        batch.update("c", fence=LEASE, importance=None)
        batch.delete("d", if_match="*", fence="k=7")
    fence = {"lease": "deploy.prod", "fence": 42}
    assert json.loads(server.requests[0].body or b"")["operations"] == [
        {"op": "put", "id": "a", "body": {"content": "x", "tags": ["t"]}, "if_match": ETAG},
        {"op": "put", "id": "b", "body": {"content": "x"}, "if_none_match": "*"},
        {"op": "patch", "id": "c", "body": {"importance": None}, "fence": fence},
        {"op": "delete", "id": "d", "if_match": "*", "fence": {"lease": "k", "fence": 7}},
    ]


def test_a_view_puts_its_fence_on_every_change_that_names_none() -> None:
    server = ScriptedServer([*[ok()] * 5, ok({"results": [{"status": 200}] * 2, "failed": 0})])
    memories = _spine(server).with_options(fence=LEASE).memories
    memories.put("t-1", "x")
    memories.update("t-1", content="x")
    memories.delete("t-1")
    memories.put("t-1", "x", fence="mine=1")
    memories.get("t-1")
    with memories.batch() as batch:
        batch.put("a", "x")
        batch.delete("b", fence="mine=1")
    fences = [request.headers.get("Spine-Fence") for request in server.requests]
    assert fences == ["deploy.prod=42"] * 3 + ["mine=1", None, None]
    operations = json.loads(server.requests[-1].body or b"")["operations"]
    assert [operation["fence"]["fence"] for operation in operations] == [42, 1]


def test_touch_sends_as_many_requests_as_it_takes_and_keeps_the_order() -> None:
    def touched(request: Any) -> Any:
        ids = json.loads(request.body)["ids"]
        return ok({"results": [{"status": 200, "id": name} for name in ids], "failed": 0})

    server = ScriptedServer([touched] * 2)
    names = [f"m{number}" for number in range(501)]
    results = _spine(server).memories.touch(iter(names))
    assert [result.id for result in results] == names
    assert [request.url for request in server.requests] == [
        "http://a/v1/ns/acme/memories:touch"
    ] * 2
    assert not _spine(server).memories.touch([])


def test_touch_tells_what_became_of_each() -> None:
    missing = {"status": 404, "problem": {"code": "not-found", "status": 404}}
    server = ScriptedServer([ok({"results": [{"status": 200}, missing], "failed": 1})])
    first, second = _spine(server).memories.touch(["a", "b"])
    assert first.error is None
    assert isinstance(second.error, NotFound)


async def test_the_awaiting_client_does_the_same() -> None:
    server = ScriptedServer([ok(), ok(), ok(status=204), ok({"results": [], "failed": 0})])
    async with AsyncSpine(
        "http://a", namespace="acme", transport=AsyncScriptedServer(server)
    ) as spine:
        await spine.memories.put("t-1", "x", create_only=True)
        await spine.memories.update("t-1", content="y", if_match=ETAG)
        await spine.memories.delete("t-1", fence=LEASE)
        assert await spine.memories.touch([]) == []
    methods = [request.method for request in server.requests]
    assert methods == ["PUT", "PATCH", "DELETE"]
