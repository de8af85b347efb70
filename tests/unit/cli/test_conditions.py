"""Commands that write on conditions, change fields and watch."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from memory_spine.effects import Answer
from spine_cli.exits import Exit
from unit.cli.running import spine
from unit.client.scripted_server import MEMORY, ScriptedServer, ok, problem

CONDITIONS = ("If-Match", "If-None-Match", "Spine-Fence")
NAMED = ("store", "-n", "acme", "--id", "t-1", "x")


def _conditions(server: ScriptedServer) -> dict[str, str]:
    (request,) = server.requests
    return {name: request.headers[name] for name in CONDITIONS if name in request.headers}


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ((*NAMED, "--if-match", "0192-1"), {"If-Match": '"0192-1"'}),
        ((*NAMED, "--create-only", "--fence", "d=7"), {"If-None-Match": "*", "Spine-Fence": "d=7"}),
        (("update", "-n", "acme", "t-1", "x", "--if-match", "*"), {"If-Match": "*"}),
        (("update", "-n", "acme", "t-1", "x", "--fence", "d=7"), {"Spine-Fence": "d=7"}),
        (
            ("forget", "-n", "acme", "t-1", "--if-match", '"v1"', "--fence", "d=7"),
            {"If-Match": '"v1"', "Spine-Fence": "d=7"},
        ),
    ],
)
def test_a_write_takes_conditions(words: tuple[str, ...], sent: dict[str, str]) -> None:
    server = ScriptedServer([ok()])
    assert spine(*words, server=server).exit_code == Exit.OK
    assert _conditions(server) == sent


@pytest.mark.parametrize("code", ["precondition-failed", "fence-stale", "fence-required"])
def test_a_condition_that_does_not_hold_has_its_exit_code(code: str) -> None:
    server = ScriptedServer([problem(code, 412, outcome="not-applied")])
    done = spine(*NAMED, "--if-match", "v1", server=server)
    assert done.exit_code == Exit.CONFLICT
    assert done.stderr.startswith(f"spine: {code}")


def test_update_sends_what_was_named_and_removes_what_should_go() -> None:
    server = ScriptedServer([ok()])
    done = spine(
        *("update", "-n", "acme", "t-1", "- new text", "--metadata", '{"n": 2, "old": null}'),
        *("--tag", "a", "--ttl", "7d", "--pinned", "--importance", "high", "--user", "alice"),
        *("--remove", "agent", "--remove", "embedding", "--key", "k", "-o", "id"),
        server=server,
    )
    assert done.stdout == "t-1\n"
    (request,) = server.requests
    assert (request.method, request.headers["Idempotency-Key"]) == ("PATCH", "k")
    assert json.loads(request.body or b"") == {
        "content": "- new text",
        "metadata": {"n": 2, "old": None},
        "tags": ["a"],
        "ttl_seconds": 604_800,
        "pinned": True,
        "importance": 0.75,
        "user_id": "alice",
        "agent_id": None,
        "embedding": None,
    }


def test_update_reads_a_text_from_stdin() -> None:
    server = ScriptedServer([ok()])
    spine("update", "-n", "acme", "t-1", "-", server=server, stdin="hi\n")
    assert json.loads(server.requests[0].body or b"") == {"content": "hi\n"}


def test_touch_says_what_became_of_each() -> None:
    missing = {"status": 404, "problem": {"code": "not-found", "status": 404, "title": "none"}}
    results = {"results": [{"status": 200}, missing], "failed": 1}
    done = spine("touch", "-n", "acme", "a", "b", server=ScriptedServer([ok(results)]))
    assert done.exit_code == Exit.NOT_FOUND
    assert "touched a\nb: not-found: none\n" in done.stderr
    done = spine(
        *("touch", "-n", "acme", "a"),
        server=ScriptedServer([ok({"results": [{"status": 200}], "failed": 0})]),
    )
    assert (done.exit_code, done.stdout) == (Exit.OK, "")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("store", "-n", "acme", "x", "--create-only"), "name it with --id"),
        (("store", "-n", "acme", "x", "--fence", "d=7"), "name it with --id"),
        ((*NAMED, "--create-only", "--if-match", "v1"), "give one of them"),
        ((*NAMED, "--if-match", 'W/"v1"'), "if_match is an ETag"),
        ((*NAMED, "--fence", "7"), "deploy.prod=42"),
        (("update", "-n", "acme", "t-1"), "changes nothing"),
        (("update", "-n", "acme", "t-1", "--remove", "id"), "--remove"),
        (("forget", "-n", "acme", "a", "b", "--if-match", "v1"), "one memory"),
        (("watch", "-n", "acme", "--event", "expiry"), "--event"),
    ],
)
def test_a_wrong_argument_names_what_would_be_right(words: tuple[str, ...], hint: str) -> None:
    server = ScriptedServer()
    done = spine(*words, server=server)
    assert done.exit_code == Exit.USAGE
    assert hint in done.stderr
    assert not server.requests


def _stream(*events: tuple[str, dict[str, Any]]) -> Answer:
    body = "".join(
        f"id: c{count}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"
        for count, (kind, data) in enumerate(events, 1)
    )
    return Answer(status=200, headers={"content-type": "text/event-stream"}, body=body.encode())


def test_watch_prints_one_json_object_a_line() -> None:
    put = {"namespace": "acme", "id": "t-1", "version": "v1", "memory": MEMORY}
    delete = {"namespace": "acme", "id": "t-1", "version": "v2", "reason": "deleted"}
    server = ScriptedServer([_stream(("put", put), ("delete", delete), ("put", put))])
    done = spine(
        *("watch", "-n", "acme", "--tag", "task", "--since", "beginning", "--limit", "2"),
        *("--event", "put", "--event", "delete", "--subtree"),
        server=server,
    )
    assert done.exit_code == Exit.OK
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["memory"]["content"] == "hello"
    assert second == {**delete, "type": "delete", "cursor": "c2"}
    query = parse_qs(urlsplit(server.requests[0].url).query)
    assert (query["since"], query["scope"], query["events"]) == (
        ["beginning"],
        ["subtree"],
        ["put,delete"],
    )
    assert json.loads(query["filter"][0]) == {"tags": "task"}


def test_watch_says_when_changes_may_be_missed() -> None:
    reset = {"namespace": "acme", "reason": "cursor-expired"}
    server = ScriptedServer([_stream(("reset", reset)), problem("unauthenticated", 401)])
    done = spine("watch", "-n", "acme", "--since", "old", server=server)
    assert json.loads(done.stdout)["type"] == "reset"
    assert "list the memories again" in done.stderr
    assert done.exit_code == Exit.REFUSED
