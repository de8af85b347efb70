"""The audit: one line for each write and each refusal, and no content in any."""

import logging
from typing import Any

import pytest

from spine_core.api_keys import Scope
from spine_core.errors import ProblemError
from unit.http.harness import MEMORIES, HttpHarness, Keyring

FACTS = (
    "request_id", "subject", "key_id", "action", "namespace", "id", "outcome", "status", "code",
    "node", "remote",
)  # fmt: skip


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "spine.audit")
    return caplog


def facts(lines: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [
        {name: getattr(record, name) for name in FACTS}
        for record in lines.records
        if record.name == "spine.audit"
    ]


async def test_a_write_leaves_one_complete_line(
    keyring: Keyring, lines: pytest.LogCaptureFixture
) -> None:
    key = keyring.add([Scope.WRITE], ["acme"])
    headers = {"Spine-Request-Id": "r-1"}
    await HttpHarness(keyring.file).ask(
        "PUT", f"{MEMORIES}/n", {"content": "a secret"}, key=key, headers=headers
    )
    assert facts(lines) == [
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
    assert "secret" not in lines.text


async def test_a_create_is_noted_with_the_id_it_got(
    harness: HttpHarness, lines: pytest.LogCaptureFixture
) -> None:
    answer = await harness.ask("POST", MEMORIES, {"content": "x"})
    assert [(line["action"], line["id"]) for line in facts(lines)] == [
        ("createMemory", answer.json["id"])
    ]


async def test_the_line_has_the_status_of_the_answer(
    harness: HttpHarness, lines: pytest.LogCaptureFixture
) -> None:
    answers = [
        await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x"}),
        await harness.ask("PUT", f"{MEMORIES}/n", {"content": "y"}),
        await harness.ask("DELETE", f"{MEMORIES}/n"),
        await harness.ask("PUT", f"{MEMORIES}/n", {"content": ""}),
    ]
    assert [line["status"] for line in facts(lines)] == [answer.status for answer in answers]


async def test_a_failed_write_is_noted_with_its_outcome(
    harness: HttpHarness, lines: pytest.LogCaptureFixture
) -> None:
    await harness.ask("PUT", f"{MEMORIES}/n", {"content": ""})
    harness.engine.failure = ProblemError("deadline-exceeded", "late")
    await harness.ask("DELETE", f"{MEMORIES}/n")
    found = [(line["action"], line["outcome"], line["code"]) for line in facts(lines)]
    assert found == [
        ("putMemory", "not-applied", "validation-failed"),
        ("deleteMemory", "indeterminate", "deadline-exceeded"),
    ]


async def test_each_write_of_a_batch_has_its_line(
    harness: HttpHarness, lines: pytest.LogCaptureFixture
) -> None:
    operations = [
        {"op": "put", "id": "a", "body": {"content": "x"}},
        {"op": "put", "id": "b", "body": {}},
        {"op": "get", "id": "c"},
        {"op": "delete", "id": "d"},
    ]
    await harness.ask("POST", f"{MEMORIES}:batch", {"operations": operations})
    found = {(line["action"], line["id"], line["outcome"]) for line in facts(lines)}
    assert found == {
        ("batchMemories.put", "a", "applied"),
        ("batchMemories.put", "b", "not-applied"),
        ("batchMemories.delete", "d", "applied"),
    }


async def test_a_refusal_is_noted_and_a_read_is_not(
    keyring: Keyring, lines: pytest.LogCaptureFixture
) -> None:
    key = keyring.add([Scope.READ], ["acme"])
    harness = HttpHarness(keyring.file)
    await harness.ask("GET", f"{MEMORIES}/nothing", key=key)
    await harness.ask("GET", "/favicon.ico")
    assert facts(lines) == []
    await harness.ask("GET", f"{MEMORIES}/n")
    await harness.ask("GET", "/v1/ns/other/memories/n", key=key)
    await harness.ask("GET", "/v1/cluster", key=key)
    found = [(line["status"], line["subject"], line["namespace"]) for line in facts(lines)]
    assert found == [
        (401, None, "acme.support"),
        (404, "support-bot", "other"),
        (403, "support-bot", None),
    ]


async def test_a_read_that_a_batch_refuses_is_noted(
    keyring: Keyring, lines: pytest.LogCaptureFixture
) -> None:
    key = keyring.add([Scope.WRITE], ["acme"])
    operations = [{"op": "get", "id": "n"}]
    await HttpHarness(keyring.file).ask(
        "POST", f"{MEMORIES}:batch", {"operations": operations}, key=key
    )
    assert [(line["action"], line["status"]) for line in facts(lines)] == [
        ("batchMemories.get", 403)
    ]
