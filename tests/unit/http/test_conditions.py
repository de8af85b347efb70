"""Conditions, fences and merge patches over HTTP: they reach the engine whole, or are refused by name."""

from typing import Any

import pytest

from spine_node.ports import Fence, WriteRequest
from unit.http.harness import MEMORIES, HttpHarness


@pytest.mark.parametrize(
    ("condition", "meant"),
    [
        ({"If-Match": '"01a3-1"'}, {"if_match": "01a3-1"}),
        ({"If-Match": "*"}, {"if_match": "*"}),
        ({"Spine-Fence": "a=b=17"}, None),
        ({"Spine-Fence": "deploy.prod=17"}, {"fence": Fence("deploy.prod", 17)}),
        ({}, {"if_match": None, "create_only": False, "fence": None, "unguard": False}),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_a_condition_reaches_the_engine_or_is_refused(
    harness: HttpHarness, method: str, condition: dict[str, str], meant: dict[str, Any] | None
) -> None:
    body = None if method == "DELETE" else {"content": "x"}
    kind = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
    answer = await harness.ask(method, f"{MEMORIES}/n", body, headers=condition | kind)
    if meant is None:
        assert (answer.status, answer.json["errors"][0]["path"]) == (400, "Spine-Fence")
        assert harness.engine.seen == []
        return
    request = harness.engine.seen[-1]
    assert {name: getattr(request, name) for name in meant} == meant


async def test_a_condition_that_fails_shows_the_current_memory_to_who_asks(
    harness: HttpHarness,
) -> None:
    made = await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x"})
    stale = {"If-Match": '"0-0"'}
    answer = await harness.ask("PUT", f"{MEMORIES}/n", {"content": "y"}, headers=stale)
    assert (answer.status, answer.code) == (412, "precondition-failed")
    assert answer.json["current_version"] == made.json["version"]
    assert "current" not in answer.json
    wanted = stale | {"Prefer": "return=representation"}
    answer = await harness.ask("PUT", f"{MEMORIES}/n", {"content": "y"}, headers=wanted)
    assert answer.json["current"] == made.json
    answer = await harness.ask("PUT", f"{MEMORIES}/none", {"content": "y"}, headers=wanted)
    assert (answer.json["current"], answer.json["current_version"]) == (None, None)


async def test_two_conditions_that_exclude_each_other_are_refused(harness: HttpHarness) -> None:
    both = {"If-Match": "*", "If-None-Match": "*"}
    answer = await harness.ask("PUT", f"{MEMORIES}/n", {"content": "y"}, headers=both)
    assert (answer.status, answer.json["errors"][0]["path"]) == (400, "If-Match")


async def test_a_write_that_must_find_nothing_takes_no_etag(harness: HttpHarness) -> None:
    etag = {"If-None-Match": '"0-0"'}
    answer = await harness.ask("PUT", f"{MEMORIES}/n", {"content": "y"}, headers=etag)
    assert (answer.status, answer.json["errors"][0]["path"]) == (400, "If-None-Match")


PATCH = {"Content-Type": "application/merge-patch+json"}


async def test_a_merge_patch_changes_what_it_names_and_leaves_the_rest(
    harness: HttpHarness,
) -> None:
    memory = {"content": "x", "metadata": {"a": 1, "b": {"c": 2, "d": 3}}, "tags": ["t"]}
    await harness.ask("PUT", f"{MEMORIES}/n", memory)
    patch = {"content": "y", "metadata": {"a": None, "b": {"c": 4}}, "tags": ["u", "v"]}
    answer = await harness.ask("PATCH", f"{MEMORIES}/n", patch, headers=PATCH)
    assert (answer.status, answer.json["content"]) == (200, "y")
    assert (answer.json["metadata"], answer.json["tags"]) == ({"b": {"c": 4, "d": 3}}, ["u", "v"])


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        ({"contents": "x"}, "contents"),
        ({"importance": 2}, "importance"),
        ({"version": "1"}, "version"),
        ([], ""),
    ],
)
async def test_a_patch_of_what_no_memory_has_names_the_field(
    harness: HttpHarness, patch: Any, path: str
) -> None:
    answer = await harness.ask("PATCH", f"{MEMORIES}/n", patch, headers=PATCH)
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, path)
    assert harness.engine.seen == []


async def test_a_patch_of_nothing_is_not_found(harness: HttpHarness) -> None:
    answer = await harness.ask("PATCH", f"{MEMORIES}/n", {"content": "x"}, headers=PATCH)
    assert (answer.status, answer.json["outcome"]) == (404, "not-applied")


async def test_a_patch_is_declared_as_one(harness: HttpHarness) -> None:
    answer = await harness.ask("PATCH", f"{MEMORIES}/n", {"content": "x"})
    assert answer.status == 415


async def test_only_an_administrator_takes_a_guard_away_without_its_fence(
    harness: HttpHarness,
) -> None:
    url = f"{MEMORIES}/n?unguard=true"
    answer = await harness.ask("PUT", url, {"content": "x"}, headers={"Spine-Fence": "k=1"})
    assert answer.status == 201
    unguarding = harness.engine.seen[-1]
    assert isinstance(unguarding, WriteRequest)
    assert unguarding.unguard


async def test_only_a_put_may_ask_for_nothing_to_be_there(harness: HttpHarness) -> None:
    nothing = {"If-None-Match": "*"}
    await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x"}, headers=nothing)
    request = harness.engine.seen[-1]
    assert isinstance(request, WriteRequest)
    assert request.create_only
    for method, body in (("DELETE", None), ("PATCH", {"content": "x"})):
        headers = nothing | (PATCH if method == "PATCH" else {})
        answer = await harness.ask(method, f"{MEMORIES}/m", body, headers=headers)
        assert (answer.status, answer.json["errors"][0]["path"]) == (400, "If-None-Match")
    assert len(harness.engine.seen) == 1
