"""Probes, metrics and the cluster view."""

import pytest

from spine_node.http import limits
from unit.http.harness import ADMIN_TOKEN, MEMORIES, HttpHarness, Keyring


@pytest.mark.parametrize("path", ["live", "ready", "startup"])
async def test_a_healthy_node_says_ok_without_a_key(path: str, keyring: Keyring) -> None:
    keyring.add([], [])
    answer = await HttpHarness(keyring.file).ask("GET", f"/healthz/{path}")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


async def test_a_node_says_why_it_is_not_ready(harness: HttpHarness) -> None:
    harness.operations.not_ready = "draining"
    answer = await harness.ask("GET", "/healthz/ready")
    assert (answer.status, answer.json["reasons"]) == (503, ["draining"])


async def test_a_full_node_is_ready_and_says_full(harness: HttpHarness) -> None:
    harness.operations.is_full = True
    answer = await harness.ask("GET", "/healthz/ready")
    assert (answer.status, answer.json) == (200, {"status": "full"})


async def test_a_node_says_that_it_cannot_work_or_has_not_started(harness: HttpHarness) -> None:
    harness.operations.is_live = harness.operations.has_started = False
    assert (await harness.ask("GET", "/healthz/live")).status == 503
    assert (await harness.ask("GET", "/healthz/startup")).status == 503


async def test_metrics_are_prometheus_text(harness: HttpHarness) -> None:
    answer = await harness.ask("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.body == b"spine_epoch 1\n"


async def test_the_cluster_publishes_every_limit_and_slots_on_request(harness: HttpHarness) -> None:
    short = (await harness.ask("GET", "/v1/cluster")).json
    assert short["limits"] == limits.PUBLISHED
    assert "slots" not in short
    assert len((await harness.ask("GET", "/v1/cluster?include=slots")).json["slots"]) == 4096


async def test_a_node_with_too_many_requests_sheds_clients_and_keeps_its_probes(
    harness: HttpHarness,
) -> None:
    harness.app.in_flight.count = limits.IN_FLIGHT_MAX
    answer = await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x"})
    assert (answer.status, answer.code) == (503, "overloaded")
    assert answer.json["outcome"] == "not-applied"
    assert (await harness.ask("GET", "/healthz/live")).status == 200
    assert (await harness.ask("GET", "/admin/v1/status", key=ADMIN_TOKEN)).status == 200
    harness.app.in_flight.count -= 1
    assert (await harness.ask("PUT", f"{MEMORIES}/n", {"content": "x"})).status == 201


async def test_the_document_is_served_to_everybody(keyring: Keyring) -> None:
    keyring.add([], [])
    answer = await HttpHarness(keyring.file).ask("GET", "/openapi.json")
    assert answer.json["openapi"] == "3.1.0"
    assert not [path for path in answer.json["paths"] if path.startswith("/admin")]


async def test_every_answer_is_measured_by_its_operation_and_a_wrong_path_by_none(
    harness: HttpHarness,
) -> None:
    await harness.ask("GET", f"{MEMORIES}/nothing-here")
    await harness.ask("GET", "/healthz/live")
    await harness.ask("GET", "/no/such/path")
    assert [operation for operation, _seconds in harness.measured] == ["getMemory", "live"]
