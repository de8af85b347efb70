"""Watch and changes without a socket: what a request means, what an event looks like, what is refused."""

import json
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict

from spine_core.api_keys import Scope
from spine_core.errors import ProblemError
from spine_core.records.encoding import Record, join_body
from spine_core.records.versions import etag_of, hlc_from_ms, make_version
from spine_core.scalars import Origin
from spine_node.http import limits
from spine_node.ports import Changes, WatchEvent, WatchRequest
from spine_node.server_fields import ServerFields, pack_server_fields
from unit.http.harness import HttpHarness, Keyring
from unit.http.memory_engine import START_MS
from unit.http.memory_watch import FIRST_CURSOR, MemoryWatch

NS = "acme.support"
WATCH, CHANGES = f"/v1/ns/{NS}/watch", f"/v1/ns/{NS}/changes"
VERSION = make_version(hlc_from_ms(START_MS), Origin(1))
KEPT = (
    b'{"content":"c","metadata":{},"tags":[],"importance":0.5,"pinned":false,"derived_from":[],'
    b'"embedding":{"vector":[1.0]}}'
)


def record(kept: bytes = KEPT) -> Record:
    fields = pack_server_fields(ServerFields(created_at=START_MS, writer="w"))
    return Record(version=VERSION, op=1, body=join_body(fields, kept))


def put(number: int = 1, kept: bytes = KEPT) -> WatchEvent:
    return WatchEvent(
        kind="put",
        namespace=NS,
        memory_id=f"k{number}",
        version=VERSION,
        record=record(kept),
        cursor=f"cursor-{number}",
    )


class PreparedWatch(MemoryWatch):
    """A watch that has something to give at once."""

    def __init__(self, changes: Changes | ProblemError) -> None:
        super().__init__()
        self.waiting.put_nowait(changes)


async def answer(harness: HttpHarness, changes: Changes, query: str = "") -> Any:
    harness.engine.prepared.append(PreparedWatch(changes))
    found = await harness.ask("GET", f"{CHANGES}?wait_ms=1000{query}")
    assert found.status == 200, found.body
    assert harness.engine.watches[-1].closed
    return found.json


async def test_a_poll_answers_events_and_the_next_cursor(harness: HttpHarness) -> None:
    page = await answer(harness, Changes(events=[put()], cursor="next"))
    event = {"type": "put", "namespace": NS, "id": "k1", "version": etag_of(VERSION)}
    assert page == {"events": [event], "cursor": "next", "reset": False}


async def test_a_poll_says_when_its_cursor_was_too_old(harness: HttpHarness) -> None:
    page = await answer(harness, Changes(cursor="fresh", reset=True))
    assert page == {"events": [], "cursor": "fresh", "reset": True}


async def test_memories_come_when_they_are_asked_for(harness: HttpHarness) -> None:
    changes = Changes(events=[put()], cursor="next")
    (event,) = (await answer(harness, changes, "&include=memory"))["events"]
    assert (event["memory"]["content"], event["memory"]["omitted"]) == ("c", ["embedding"])
    for include in ("embedding", "memory,embedding"):
        (event,) = (await answer(harness, changes, f"&include={include}"))["events"]
        assert event["memory"]["embedding"] == {"vector": [1.0]}


async def test_a_deletion_has_its_reason_and_no_memory(harness: HttpHarness) -> None:
    deleted = msgspec.structs.replace(put(), kind="delete", record=None, reason="deleted")
    changes = Changes(events=[deleted], cursor="next")
    (event,) = (await answer(harness, changes, "&include=memory"))["events"]
    assert event == {
        "type": "delete",
        "namespace": NS,
        "id": "k1",
        "version": etag_of(VERSION),
        "reason": "deleted",
    }


@pytest.mark.parametrize(
    ("held_ms", "holder", "held"),
    [(1000, "agent-7", True), (-1000, "agent-7", False), (1000, "", False)],
)
async def test_a_lease_is_shown_as_it_stands(
    harness: HttpHarness, held_ms: int, holder: str, held: bool
) -> None:
    body = {
        "key": "deploy", "holder": holder, "fence": 42, "ttl_ms": 30_000,
        "expires_ms": START_MS + held_ms, "guards": ["release"],
    }  # fmt: skip
    lease = msgspec.structs.replace(
        put(), kind="lease", memory_id="deploy", record=record(json.dumps(body).encode())
    )
    (event,) = (await answer(harness, Changes(events=[lease], cursor="next")))["events"]
    until = event["lease"].pop("expires_at")
    assert until.endswith("Z") if held else until is None
    shown = {"key": "deploy", "held": held, "holder": holder if held else None, "fence": 42}
    assert event["lease"] == shown
    assert (event["namespace"], event["id"]) == (NS, "deploy")


async def test_every_parameter_reaches_the_engine(harness: HttpHarness) -> None:
    cursor = "c" * limits.CURSOR_TOKEN_CHARS_MAX
    query = '?filter={"tags":"t"}&scope=subtree&events=delete,lease&since=' + cursor
    await harness.ask("GET", CHANGES + query + "&limit=500")
    await harness.ask("GET", WATCH + query, headers={"Last-Event-ID": cursor[:-1] + "d"})
    poll, stream = harness.engine.seen
    for request in (poll, stream):
        assert isinstance(request, WatchRequest)
        assert (request.namespace, request.scope, request.since) == (NS, "subtree", cursor)
        assert request.events == {"delete", "lease"}
    assert isinstance(poll, WatchRequest)
    assert isinstance(stream, WatchRequest)
    assert (poll.last_event_id, stream.last_event_id) == (None, cursor[:-1] + "d")
    assert harness.engine.watches[0].asked == [(limits.CHANGES_MAX, 0.0)]


async def test_what_is_not_said_has_its_default(harness: HttpHarness) -> None:
    answered = await harness.ask("GET", CHANGES)
    assert answered.json == {"events": [], "cursor": FIRST_CURSOR, "reset": False}
    (request,) = harness.engine.seen
    assert isinstance(request, WatchRequest)
    assert (request.since, request.scope) == ("now", "exact")
    assert request.events == {"put", "delete"}
    assert harness.engine.watches[0].asked == [(limits.PAGE_SIZE, 0.0)]


BAD = [
    ("filter={", 400, None),
    ('filter={"nope":1}', 422, "nope"),
    ('filter={"tags":{"$gt":1}}', 422, "tags.$gt"),
    ("scope=all", 400, "scope"),
    ("events=put,drop", 400, "events"),
    ("events=", 400, "events"),
    ("include=score", 400, "include"),
    ("since=now&since=now", 400, None),
    ("order=id", 422, "order"),
]
BAD_POLLS = [
    ("limit=0", 400, "limit"),
    ("limit=501", 400, "limit"),
    ("limit=x", 400, "limit"),
    ("wait_ms=-1", 400, "wait_ms"),
    ("wait_ms=30001", 400, "wait_ms"),
]


@pytest.mark.parametrize(("query", "status", "name"), [*BAD, *BAD_POLLS])
async def test_a_malformed_parameter_is_refused_by_its_name(
    harness: HttpHarness, query: str, status: int, name: str | None
) -> None:
    paths = [CHANGES] if (query, status, name) in BAD_POLLS else [CHANGES, WATCH]
    for path in paths:
        refused = await harness.ask("GET", f"{path}?{query}")
        assert refused.status == status, refused.body
        if name is not None:
            assert [error["path"] for error in refused.json["errors"]] == [name]
    assert harness.engine.watches == []


async def test_last_event_id_stands_once(harness: HttpHarness) -> None:
    twice = [("Last-Event-ID", "a"), ("Last-Event-ID", "b")]
    refused = await harness.ask("GET", WATCH, headers=twice)
    assert (refused.status, refused.json["errors"][0]["path"]) == (400, "Last-Event-ID")


async def test_an_empty_last_event_id_is_none(harness: HttpHarness) -> None:
    await harness.ask("GET", WATCH, headers={"Last-Event-ID": ""})
    (request,) = harness.engine.seen
    assert isinstance(request, WatchRequest)
    assert request.last_event_id is None


async def test_a_watch_that_is_refused_is_no_stream(harness: HttpHarness) -> None:
    harness.engine.failure = ProblemError("coverage-incomplete", "no replica")
    for path in (WATCH, CHANGES):
        refused = await harness.ask("GET", path)
        assert (refused.status, refused.code) == (503, "coverage-incomplete")


async def test_a_stream_that_nobody_reads_gives_everything_back(harness: HttpHarness) -> None:
    for method in ("GET", "HEAD"):
        assert (await harness.ask(method, WATCH)).status == 200
        assert harness.engine.watches[-1].closed


async def test_a_credential_has_so_many_watches_on_a_node(keyring: Keyring) -> None:
    one, other = (keyring.add([Scope.READ], ["acme"], subject=name) for name in ("a", "b"))
    harness = HttpHarness(keyring.file)
    given = CIMultiDict({"Authorization": f"Bearer {one}"})
    key = harness.credentials.identify(given, START_MS, 0.0)
    held = [harness.limit_of_watches.one_more(key) for _ in range(limits.WATCHES_MAX)]
    for each in held:
        each.__enter__()
    for path in (WATCH, CHANGES):
        refused = await harness.ask("GET", path, key=one)
        assert (refused.status, refused.code) == (429, "rate-limited")
        assert "Retry-After" in refused.headers
        assert (await harness.ask("GET", path, key=other)).status == 200
    held.pop().__exit__(None, None, None)
    assert (await harness.ask("GET", CHANGES, key=one)).status == 200
