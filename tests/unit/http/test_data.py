"""One memory through the HTTP API: what is stored, what is answered, which headers come along."""

import json
from typing import Any

import msgspec
import pytest

from spine_core.errors import ProblemError
from spine_core.instants import rfc3339
from spine_core.records.consistency import Model
from spine_core.records.encoding import split_body
from spine_core.records.sessions import Session, open_session, seal_session
from spine_core.scalars import Hlc
from spine_node.http.render import without_embedding
from spine_node.ports import ReadRequest, WriteRequest
from unit.http.harness import MEMORIES, SESSION_KEY, HttpHarness
from unit.http.memory_engine import START_MS

FULL: dict[str, Any] = {
    "content": "Alice prefers metric units",
    "metadata": {"a": {"b": [1, 2.5, None, True]}, "embedding": {"vector": [9]}, "é": "ü"},
    "tags": ["preference", "Ünit"],
    "agent_id": "a7",
    "user_id": "alice",
    "thread_id": "t 1",
    "importance": 0.25,
    "pinned": True,
    "ttl_seconds": 60,
    "derived_from": ["alice~note-1"],
}


def kept(harness: HttpHarness, memory_id: str) -> Any:
    """Return the client's JSON in the record of the double."""
    record = harness.engine.records["acme.support", memory_id]
    return msgspec.json.decode(split_body(record.body)[1])


async def test_a_put_keeps_every_field_and_fills_in_the_defaults(harness: HttpHarness) -> None:
    await harness.ask("PUT", f"{MEMORIES}/full", FULL)
    assert kept(harness, "full") == FULL
    await harness.ask("PUT", f"{MEMORIES}/little", {"content": "x"})
    assert kept(harness, "little") == {
        "content": "x",
        "metadata": {},
        "tags": [],
        "importance": 0.5,
        "pinned": False,
        "derived_from": [],
    }


async def test_the_engine_is_told_what_it_decides_by(harness: HttpHarness) -> None:
    await harness.ask(
        "POST",
        MEMORIES,
        {**FULL, "partition_by": "team one"},
        headers={"Idempotency-Key": "k-1", "Spine-Consistency": "causal"},
    )
    (request,) = harness.engine.seen
    assert isinstance(request, WriteRequest)
    assert (request.namespace, request.memory_id) == ("acme.support", None)
    assert (request.tags, request.agent_id) == (("preference", "Ünit"), "a7")
    assert (request.partition_by, request.ttl_seconds, request.pinned) == ("team one", 60, True)
    assert (request.subject, request.idempotency_key) == ("anonymous", "k-1")
    assert request.model == "causal"
    assert "partition_by" not in msgspec.json.decode(request.memory or b"")


async def test_a_create_answers_201_with_the_place_of_the_new_record(harness: HttpHarness) -> None:
    answer = await harness.ask("POST", MEMORIES, {"content": "x"})
    memory = answer.json
    assert answer.status == 201
    assert answer.headers["Location"] == f"{MEMORIES}/{memory['id']}"
    assert answer.headers["ETag"] == f'"{memory["version"]}"'
    assert answer.headers["Spine-Acks"] == "2/3"
    assert answer.headers["Spine-Consistency"] == "read-your-writes"
    assert answer.headers["Spine-Node"] == "spine-1"
    assert answer.headers["Spine-Epoch"] == "7"
    assert (await harness.ask("GET", answer.headers["Location"])).json == memory


async def test_a_put_answers_201_once_and_then_200(harness: HttpHarness) -> None:
    first = await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x"})
    second = await harness.ask("PUT", f"{MEMORIES}/n", {"content": "y"})
    assert (first.status, second.status) == (201, 200)
    assert "Location" not in second.headers
    assert second.json["version"] > first.json["version"]


async def test_a_memory_is_answered_with_the_facts_of_the_server(harness: HttpHarness) -> None:
    put = await harness.ask("PUT", f"{MEMORIES}/full", FULL)
    harness.clock.ms += 1500
    got = await harness.ask("GET", f"{MEMORIES}/full")
    assert got.json == put.json
    assert got.json == FULL | {
        "id": "full",
        "namespace": "acme.support",
        "version": put.headers["ETag"].strip('"'),
        "created_at": "2027-01-15T08:00:00.000Z",
        "updated_at": "2027-01-15T08:00:00.000Z",
        "expires_at": "2027-01-15T08:01:00.000Z",
        "writer": "anonymous",
    }


async def test_what_get_gave_can_be_put_back(harness: HttpHarness) -> None:
    await harness.ask("PUT", f"{MEMORIES}/full", FULL)
    got = await harness.ask("GET", f"{MEMORIES}/full")
    back = await harness.ask("PUT", f"{MEMORIES}/full", got.json)
    assert back.status == 200
    assert kept(harness, "full") == FULL


async def test_an_embedding_is_answered_only_when_it_is_asked_for(harness: HttpHarness) -> None:
    embedding = {"model": "m", "vector": [0.25, 1.0]}
    put = await harness.ask("PUT", f"{MEMORIES}/full", {**FULL, "embedding": embedding})
    without = await harness.ask("GET", f"{MEMORIES}/full")
    including = await harness.ask("GET", f"{MEMORIES}/full?include=embedding")
    assert put.json == without.json
    assert "embedding" not in without.json
    assert without.json["omitted"] == ["embedding"]
    shown = without.json
    del shown["omitted"]
    assert including.json == {**shown, "embedding": embedding}


@pytest.mark.parametrize("view", ["", "?include=embedding"])
async def test_one_field_of_any_view_can_be_replaced_without_losing_another(
    harness: HttpHarness, view: str
) -> None:
    everything = {**FULL, "embedding": {"model": "m", "vector": [0.1, -1e-7, 3.0]}}
    await harness.ask("PUT", f"{MEMORIES}/full", everything)
    got = await harness.ask("GET", f"{MEMORIES}/full{view}")
    back = await harness.ask("PUT", f"{MEMORIES}/full", {**got.json, "content": "new"})
    assert back.status == 200
    assert kept(harness, "full") == {**everything, "content": "new"}


async def test_a_new_embedding_goes_before_the_kept_one(harness: HttpHarness) -> None:
    await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x", "embedding": {"vector": [1.0]}})
    got = await harness.ask("GET", f"{MEMORIES}/n")
    await harness.ask("PUT", f"{MEMORIES}/n", {**got.json, "embedding": {"vector": [2.0]}})
    assert kept(harness, "n")["embedding"] == {"vector": [2.0]}


async def test_a_body_that_is_no_view_replaces_the_whole_memory(harness: HttpHarness) -> None:
    await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x", "embedding": {"vector": [1.0]}})
    await harness.ask("PUT", f"{MEMORIES}/n", {"content": "y"})
    assert "embedding" not in kept(harness, "n")


async def test_what_a_view_left_out_is_read_from_a_quorum(harness: HttpHarness) -> None:
    await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x", "embedding": {"vector": [1.0]}})
    got = await harness.ask("GET", f"{MEMORIES}/n")
    await harness.ask("PUT", f"{MEMORIES}/n", got.json)
    read = harness.engine.seen[-2]
    assert isinstance(read, ReadRequest)
    assert read.model is Model.STRONG


async def test_a_partial_view_of_a_deleted_memory_does_not_bring_it_back(
    harness: HttpHarness,
) -> None:
    await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x", "embedding": {"vector": [1.0]}})
    got = await harness.ask("GET", f"{MEMORIES}/n")
    await harness.ask("DELETE", f"{MEMORIES}/n")
    back = await harness.ask("PUT", f"{MEMORIES}/n", got.json)
    assert (back.status, back.code, back.json["outcome"]) == (410, "gone", "not-applied")


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ProblemError("quorum-unavailable", "1 of 2"), "quorum-unavailable"),
        (ProblemError("session-unsatisfied", "behind"), "quorum-unavailable"),
        (ProblemError("overloaded", "busy", retry_after_ms=7), "overloaded"),
    ],
)
async def test_a_view_that_cannot_be_completed_is_not_applied(
    harness: HttpHarness, failure: ProblemError, code: str
) -> None:
    harness.engine.failure = failure
    answer = await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x", "omitted": ["embedding"]})
    assert (answer.code, answer.json["outcome"]) == (code, "not-applied")
    assert harness.engine.records == {}


async def test_a_page_of_a_list_can_be_written_back_by_a_batch(harness: HttpHarness) -> None:
    body = {"content": "x", "embedding": {"vector": [1.0]}}
    await harness.ask("PUT", f"{MEMORIES}/n", body)
    (item,) = (await harness.ask("GET", MEMORIES)).json["items"]
    put = {"op": "put", "id": "n", "body": {**item, "pinned": True}}
    answer = await harness.ask("POST", f"{MEMORIES}:batch", {"operations": [put]})
    assert answer.json["failed"] == 0
    assert kept(harness, "n")["embedding"] == {"vector": [1.0]}
    assert kept(harness, "n")["pinned"] is True


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"embedding": {"vector": [1]}},
        {"derived_from": ["x"], "embedding": 1},
        {"t": ',"derived_from":[],"embedding":{}'},
    ],
)
def test_the_embedding_is_found_whatever_the_metadata_looks_like(metadata: Any) -> None:
    plain = {"content": "c", "metadata": metadata, "derived_from": ["y"]}
    carrying = plain | {"embedding": {"vector": [1.5]}}
    shown = json.loads(without_embedding(msgspec.json.encode(carrying)))
    assert shown == plain | {"omitted": ["embedding"]}
    assert json.loads(without_embedding(msgspec.json.encode(plain))) == plain


async def test_a_delete_answers_204_record_or_not(harness: HttpHarness) -> None:
    await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x"})
    for memory_id in ("n", "never"):
        answer = await harness.ask("DELETE", f"{MEMORIES}/{memory_id}")
        assert (answer.status, answer.body) == (204, b"")
        assert "Spine-Session" in answer.headers
        assert "Content-Type" not in answer.headers


async def test_a_missing_record_is_404_and_a_deleted_one_410(harness: HttpHarness) -> None:
    await harness.ask("DELETE", f"{MEMORIES}/n")
    missing = await harness.ask("GET", f"{MEMORIES}/never")
    deleted = await harness.ask("GET", f"{MEMORIES}/n")
    assert (missing.status, missing.code) == (404, "not-found")
    assert (deleted.status, deleted.code) == (410, "gone")


async def test_an_expired_record_is_gone(harness: HttpHarness) -> None:
    await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x", "ttl_seconds": 1})
    harness.clock.ms += 999
    assert (await harness.ask("GET", f"{MEMORIES}/n")).status == 200
    harness.clock.ms += 1
    assert (await harness.ask("GET", f"{MEMORIES}/n")).status == 410


async def test_a_read_that_finds_nothing_still_moves_the_session(harness: HttpHarness) -> None:
    await harness.ask("DELETE", f"{MEMORIES}/n")
    answer = await harness.ask("GET", f"{MEMORIES}/n")
    session = open_session(answer.headers["Spine-Session"], [SESSION_KEY])
    assert session.t > 0


async def test_a_known_version_is_answered_with_304_and_no_body(harness: HttpHarness) -> None:
    etag = (await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x"})).headers["ETag"]
    for known in (etag, "*"):
        answer = await harness.ask("GET", f"{MEMORIES}/n", headers={"If-None-Match": known})
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["ETag"] == etag
    await harness.ask("PUT", f"{MEMORIES}/n", {"content": "y"})
    newer = await harness.ask("GET", f"{MEMORIES}/n", headers={"If-None-Match": etag})
    assert newer.status == 200


async def test_a_session_goes_to_the_engine_and_comes_back_signed(harness: HttpHarness) -> None:
    tokens = [seal_session(Session(t=Hlc(hlc)), SESSION_KEY) for hlc in (3, 9, 5)]
    headers = [("Spine-Session", f"{tokens[0]}, {tokens[1]}"), ("Spine-Session", tokens[2])]
    answer = await harness.ask("GET", f"{MEMORIES}/n", headers=headers)
    (request,) = harness.engine.seen
    assert isinstance(request, ReadRequest)
    assert request.session == Session(t=Hlc(9))
    assert open_session(answer.headers["Spine-Session"], [SESSION_KEY]).t >= 9


async def test_the_deadline_counts_from_the_arrival(harness: HttpHarness) -> None:
    now_s = harness.clock.now()
    await harness.ask("GET", f"{MEMORIES}/n", headers={"Spine-Timeout-Ms": "30000"})
    await harness.ask("GET", f"{MEMORIES}/n")
    long, short = (request.deadline - now_s for request in harness.engine.seen)
    assert 30 <= long < 31
    assert 2 <= short < 3


async def test_a_keyed_create_that_was_made_before_says_so(harness: HttpHarness) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await harness.ask("POST", MEMORIES, {"content": "x"}, headers=headers)
    again = await harness.ask("POST", MEMORIES, {"content": "x"}, headers=headers)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json == first.json


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match", "Spine-Fence"])
async def test_a_create_knows_no_condition_and_says_so(harness: HttpHarness, name: str) -> None:
    answer = await harness.ask("POST", MEMORIES, {"content": "x"}, headers={name: "*"})
    assert (answer.status, answer.json["errors"][0]["path"]) == (400, name)
    assert harness.engine.records == {}


async def test_a_failed_write_says_what_became_of_it(harness: HttpHarness) -> None:
    harness.engine.failure = ProblemError(
        "quorum-unavailable", "1 of 2", retry_after_ms=1200, extra={"acks": 1, "required": 2}
    )
    answer = await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x"})
    assert (answer.status, answer.json["outcome"]) == (503, "indeterminate")
    assert (answer.json["acks"], answer.json["required"]) == (1, 2)
    assert answer.headers["Retry-After"] == "2"
    assert "outcome" not in (await harness.ask("GET", f"{MEMORIES}/n")).json


async def test_a_bug_is_answered_as_one_and_other_requests_go_on(
    harness: HttpHarness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.engine.failure = ZeroDivisionError("a secret")
    answer = await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x"})
    assert (answer.status, answer.code) == (500, "internal")
    assert answer.json["outcome"] == "indeterminate"
    assert "secret" not in answer.body.decode()
    assert answer.json["request_id"] in [record.request_id for record in caplog.records]  # type: ignore[attr-defined]
    harness.engine.failure = None
    assert (await harness.ask("GET", "/v1/whoami")).status == 200


async def test_a_usable_request_id_is_kept(harness: HttpHarness) -> None:
    for sent, kept_id in (("my-id.1", True), ("ä", False), ("x" * 65, False)):
        answer = await harness.ask("GET", "/v1/whoami", headers={"Spine-Request-Id": sent})
        assert (answer.headers["Spine-Request-Id"] == sent) is kept_id


def test_times_have_milliseconds_and_are_utc() -> None:
    assert rfc3339(START_MS + 7) == "2027-01-15T08:00:00.007Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
