"""Lists: what of the query reaches the engine, and how a page is answered."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace

from spine_core.records.filters import parse_filter
from spine_node.ports import ListRequest
from unit.http.harness import MEMORIES, HttpHarness


async def ask(harness: HttpHarness, **query: Any) -> Any:
    return await harness.ask("GET", f"{MEMORIES}?{urlencode(query)}")


def last_request(harness: HttpHarness) -> ListRequest:
    request = harness.engine.seen[-1]
    assert isinstance(request, ListRequest)
    return request


async def test_a_silent_query_means_the_defaults(harness: HttpHarness) -> None:
    answer = await harness.ask("GET", MEMORIES)
    request = last_request(harness)
    assert (request.scope, request.order, request.page_size) == ("exact", "-created_at", 50)
    assert (request.page_token, request.filter) == (None, parse_filter({}))
    assert answer.json == {
        "items": [],
        "next_page_token": None,
        "coverage": {"slots": 4096, "answered": 4096},
    }
    assert answer.headers["Spine-Index-Lag-Ms"] == "0"


async def test_the_same_filter_has_the_same_hash_however_it_is_written(
    harness: HttpHarness,
) -> None:
    hashes = []
    for text in (
        '{"agent_id":"a","tags":"t"}',
        '{"tags": {"$eq": "t"}, "agent_id": "a"}',
        '{"agent_id":"b","tags":"t"}',
    ):
        await ask(harness, filter=text)
        hashes.append(last_request(harness).filter_hash)
    assert hashes[0] == hashes[1] != hashes[2]


async def test_pages_follow_each_other_to_the_end(harness: HttpHarness) -> None:
    for i in range(5):
        await harness.ask("PUT", f"{MEMORIES}/{i}", {"content": "x"})
    found: list[str] = []
    token: str | None = None
    while token is not None or not found:
        page = (await ask(harness, page_size=2, **({"page_token": token} if token else {}))).json
        found += [item["id"] for item in page["items"]]
        token = page["next_page_token"]
    assert found == ["0", "1", "2", "3", "4"]


async def test_embeddings_are_listed_only_when_asked_for(harness: HttpHarness) -> None:
    body = {"content": "x", "embedding": {"vector": [1.0]}}
    await harness.ask("PUT", f"{MEMORIES}/n", body)
    assert "embedding" not in (await ask(harness)).json["items"][0]
    item = (await ask(harness, include="embedding")).json["items"][0]
    assert item["embedding"] == {"vector": [1.0]}


async def test_a_subtree_is_listed_with_each_namespace(harness: HttpHarness) -> None:
    await harness.ask("PUT", "/v1/ns/acme.support.eu/memories/n", {"content": "x"})
    await harness.ask("PUT", "/v1/ns/acme.supporters/memories/n", {"content": "x"})
    assert (await ask(harness)).json["items"] == []
    items = (await ask(harness, scope="subtree")).json["items"]
    assert [item["namespace"] for item in items] == ["acme.support.eu"]


async def test_a_query_by_body_asks_the_same_as_a_list_by_url(harness: HttpHarness) -> None:
    where = {"agent_id": {"$in": ["a", "b"]}}
    query = {"scope": "subtree", "order": "id", "page_size": 7, "page_token": "0"}
    await ask(harness, filter=json.dumps(where), include="embedding", **query)
    by_url = last_request(harness)
    body = {"filter": where, "include": ["embedding"], **query}
    answer = await harness.ask("POST", f"{MEMORIES}:query", body)
    assert answer.status == 200
    assert replace(last_request(harness), deadline=by_url.deadline) == by_url
    await harness.ask("POST", f"{MEMORIES}:query", {})
    by_body = last_request(harness)
    await harness.ask("GET", MEMORIES)
    assert replace(by_body, deadline=last_request(harness).deadline) == last_request(harness)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid-request"),
        ({"filter": []}, 422, "invalid-filter"),
        ({"filter": {"$where": 1}}, 422, "invalid-filter"),
        ({"filter": {"importance": 2**63}}, 422, "invalid-filter"),
        ({"scope": "all"}, 422, "validation-failed"),
        ({"page_size": 501}, 422, "validation-failed"),
        ({"page_token": ""}, 422, "validation-failed"),
        ({"limit": 5}, 422, "validation-failed"),
    ],
)
async def test_a_wrong_query_by_body_is_refused(
    harness: HttpHarness, body: Any, status: int, code: str
) -> None:
    answer = await harness.ask("POST", f"{MEMORIES}:query", body)
    assert (answer.status, answer.code) == (status, code)
    assert "outcome" not in answer.json  # it is a read
    assert harness.engine.seen == []


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"filter": "{"}, 400, "invalid-request"),
        ({"filter": ""}, 400, "invalid-request"),
        ({"filter": "[" * 3000}, 422, "invalid-filter"),
        ({"filter": '{"metadata.a":{"$eq":' + "[" * 31 + "]" * 31 + "}}"}, 422, "invalid-filter"),
        ({"filter": f'{{"importance":{10**30}}}'}, 422, "invalid-filter"),
        ({"filter": f'{{"metadata.a":{{"$gt":{10**400}}}}}'}, 422, "invalid-filter"),
        ({"filter": f'{{"metadata.a":{{"$in":[{-(2**63) - 1}]}}}}'}, 422, "invalid-filter"),
        ({"filter": '{"importance":{"$lt":1e999}}'}, 422, "invalid-filter"),
        ({"filter": '{"$where":1}'}, 422, "invalid-filter"),
        ({"filter": '{"colour":"red"}'}, 422, "invalid-filter"),
        ({"filter": "[]"}, 422, "invalid-filter"),
        ({"scope": "all"}, 400, "invalid-request"),
        ({"order": "version"}, 400, "invalid-request"),
        ({"page_size": 0}, 400, "invalid-request"),
        ({"page_size": 501}, 400, "invalid-request"),
        ({"page_size": "+5"}, 400, "invalid-request"),
        ({"page_size": "5.0"}, 400, "invalid-request"),
        ({"page_size": "٥"}, 400, "invalid-request"),
        ({"page_size": "9" * 5000}, 400, "invalid-request"),
        ({"page_token": ""}, 400, "invalid-request"),
        ({"page_token": "x" * 2049}, 400, "invalid-request"),
        ({"limit": 5}, 422, "validation-failed"),
    ],
)
async def test_a_wrong_query_is_refused(
    harness: HttpHarness, query: dict[str, Any], status: int, code: str
) -> None:
    answer = await ask(harness, **query)
    assert (answer.status, answer.code) == (status, code)
    assert harness.engine.seen == []


async def test_a_refused_filter_names_the_place(harness: HttpHarness) -> None:
    answer = await ask(harness, filter=f'{{"$not":{{"importance":{{"$gt":{2**63}}}}}}}')
    assert [error["path"] for error in answer.json["errors"]] == ["$not.importance.$gt"]
    assert "the filter" in (await ask(harness, filter="{")).json["detail"]


async def test_an_unknown_parameter_is_told_the_known_ones(harness: HttpHarness) -> None:
    problem = (await ask(harness, agent_id="a")).json
    assert problem["errors"][0]["path"] == "agent_id"
    assert "filter" in problem["detail"]


async def test_slots_that_did_not_answer_are_shown(harness: HttpHarness) -> None:
    harness.engine.slots_answered = 4000
    answer = await harness.ask("GET", MEMORIES)
    assert answer.json["coverage"] == {"slots": 4096, "answered": 4000}
    assert answer.headers["Spine-Degraded"] == "partial"
