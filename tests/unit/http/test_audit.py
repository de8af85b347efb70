"""The audit: one line for each write and each refusal, and no content in any."""

import json
from typing import Any

from spine_core.api_keys import Scope
from spine_core.errors import ProblemError
from spine_core.instants import rfc3339
from unit.http.harness import MEMORIES, HttpHarness, Keyring
from unit.http.memory_engine import START_MS

COMMON = {"ts", "level", "event", "logger"}


def facts(harness: HttpHarness) -> list[dict[str, Any]]:
    """Return the lines of the audit, without what every line of a log has."""
    return [
        {name: value for name, value in json.loads(line).items() if name not in COMMON}
        for line in harness.audited
    ]


async def test_a_write_leaves_one_complete_line(keyring: Keyring) -> None:
    key = keyring.add([Scope.WRITE], ["acme"])
    headers = {"Spine-Request-Id": "r-1"}
    harness = HttpHarness(keyring.file)
    await harness.ask("PUT", f"{MEMORIES}/n", {"content": "a secret"}, key=key, headers=headers)
    assert facts(harness) == [
        {
            "request_id": "r-1",
            "subject": "support-bot",
            "key_id": key[6:16],
            "action": "putMemory",
            "namespace": "acme.support",
            "id": "n",
            "outcome": "applied",
            "status": 201,
            "code": None,
            "node": "spine-1",
            "remote": "192.0.2.1",
        }
    ]
    assert "secret" not in harness.audited[0]


async def test_a_create_is_noted_with_the_id_it_got(harness: HttpHarness) -> None:
    answer = await harness.ask("POST", MEMORIES, {"content": "x"})
    assert [(line["action"], line["id"]) for line in facts(harness)] == [
        ("createMemory", answer.json["id"])
    ]


async def test_the_line_has_the_status_of_the_answer(harness: HttpHarness) -> None:
    answers = [
        await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x"}),
        await harness.ask("PUT", f"{MEMORIES}/n", {"content": "y"}),
        await harness.ask("DELETE", f"{MEMORIES}/n"),
        await harness.ask("PUT", f"{MEMORIES}/n", {"content": ""}),
    ]
    assert [line["status"] for line in facts(harness)] == [answer.status for answer in answers]


async def test_a_failed_write_is_noted_with_its_outcome(harness: HttpHarness) -> None:
    await harness.ask("PUT", f"{MEMORIES}/n", {"content": ""})
    harness.engine.failure = ProblemError("deadline-exceeded", "late")
    await harness.ask("DELETE", f"{MEMORIES}/n")
    found = [(line["action"], line["outcome"], line["code"]) for line in facts(harness)]
    assert found == [
        ("putMemory", "not-applied", "validation-failed"),
        ("deleteMemory", "indeterminate", "deadline-exceeded"),
    ]


async def test_each_write_of_a_batch_has_its_line(harness: HttpHarness) -> None:
    operations = [
        {"op": "put", "id": "a", "body": {"content": "x"}},
        {"op": "put", "id": "b", "body": {}},
        {"op": "get", "id": "c"},
        {"op": "delete", "id": "d"},
    ]
    await harness.ask("POST", f"{MEMORIES}:batch", {"operations": operations})
    found = {(line["action"], line["id"], line["outcome"]) for line in facts(harness)}
    assert found == {
        ("batchMemories.put", "a", "applied"),
        ("batchMemories.put", "b", "not-applied"),
        ("batchMemories.delete", "d", "applied"),
    }


async def test_a_refusal_is_noted_and_a_read_is_not(keyring: Keyring) -> None:
    key = keyring.add([Scope.READ], ["acme"])
    harness = HttpHarness(keyring.file)
    await harness.ask("GET", f"{MEMORIES}/nothing", key=key)
    await harness.ask("GET", "/favicon.ico")
    assert facts(harness) == []
    await harness.ask("GET", f"{MEMORIES}/n")
    await harness.ask("GET", "/v1/ns/other/memories/n", key=key)
    await harness.ask("GET", "/v1/cluster", key=key)
    found = [(line["status"], line["subject"], line["namespace"]) for line in facts(harness)]
    assert found == [
        (401, None, "acme.support"),
        (404, "support-bot", "other"),
        (403, "support-bot", None),
    ]


async def test_a_read_that_a_batch_refuses_is_noted(keyring: Keyring) -> None:
    key = keyring.add([Scope.WRITE], ["acme"])
    operations = [{"op": "get", "id": "n"}]
    harness = HttpHarness(keyring.file)
    await harness.ask("POST", f"{MEMORIES}:batch", {"operations": operations}, key=key)
    assert [(line["action"], line["status"]) for line in facts(harness)] == [
        ("batchMemories.get", 403)
    ]


async def test_a_line_has_the_form_of_the_log(harness: HttpHarness) -> None:
    await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x"})
    [text] = harness.audited
    assert "\n" not in text
    line = json.loads(text)
    assert {name: line[name] for name in COMMON} == {
        "ts": rfc3339(START_MS),
        "level": "info",
        "event": "audit",
        "logger": "spine.audit",
    }


async def test_a_refused_path_that_is_no_text_leaves_a_line(keyring: Keyring) -> None:
    keyring.add([Scope.READ], ["acme"])
    harness = HttpHarness(keyring.file)
    answer = await harness.ask("GET", "/v1/ns/\udcff/memories/n\ud800")
    assert answer.status == 401
    assert [(line["namespace"], line["id"]) for line in facts(harness)] == [("?", "n?")]
