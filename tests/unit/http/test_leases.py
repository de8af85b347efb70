"""Leases over HTTP: what is granted, what is refused by name, and what reaches the engine."""

from typing import Any

import pytest

from spine_core.api_keys import Scope
from unit.http.harness import HttpHarness, Keyring

LEASE = "/v1/ns/team/leases/deploy.prod"
WANT = {"holder": "agent-7", "ttl_ms": 30_000}


async def test_a_lease_is_granted_shown_renewed_and_given_back(harness: HttpHarness) -> None:
    granted = await harness.ask("POST", f"{LEASE}:acquire", WANT)
    assert granted.status == 200
    assert granted.json["fence"] == 1
    assert granted.json | {"expires_at": ""} == {
        "key": "deploy.prod",
        "holder": "agent-7",
        "fence": 1,
        "ttl_ms": 30_000,
        "expires_at": "",
    }
    shown = await harness.ask("GET", LEASE)
    assert shown.json == {
        "key": "deploy.prod",
        "held": True,
        "holder": "agent-7",
        "fence": 1,
        "expires_at": granted.json["expires_at"],
    }
    own = {"holder": "agent-7", "fence": 1}
    harness.clock.ms += 10_000
    renewed = await harness.ask("POST", f"{LEASE}:renew", own | {"ttl_ms": 30_000})
    assert renewed.json["expires_at"] > granted.json["expires_at"]
    assert (await harness.ask("POST", f"{LEASE}:release", own)).status == 204
    shown = await harness.ask("GET", LEASE)
    assert (shown.json["held"], shown.json["holder"], shown.json["fence"]) == (False, None, 1)


async def test_a_lease_that_is_held_says_by_whom_and_for_how_long(harness: HttpHarness) -> None:
    await harness.ask("POST", f"{LEASE}:acquire", WANT)
    answer = await harness.ask("POST", f"{LEASE}:acquire", WANT | {"holder": "agent-3"})
    assert (answer.status, answer.code, answer.json["outcome"]) == (
        409,
        "lease-held",
        "not-applied",
    )
    assert answer.json["holder"] == "agent-7"
    assert 30_000 < answer.json["retry_after_ms"] < 32_000


@pytest.mark.parametrize("action", ["renew", "release"])
async def test_a_fence_of_another_grant_is_lost(harness: HttpHarness, action: str) -> None:
    await harness.ask("POST", f"{LEASE}:acquire", WANT)
    answer = await harness.ask("POST", f"{LEASE}:{action}", {"holder": "agent-7", "fence": 2})
    assert (answer.status, answer.code) == (409, "lease-lost")


async def test_a_lease_that_nobody_took_is_not_found(harness: HttpHarness) -> None:
    assert (await harness.ask("GET", LEASE)).status == 404


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"ttl_ms": 30_000}, ""),
        ({"holder": "", "ttl_ms": 30_000}, "holder"),
        ({"holder": "a" * 129, "ttl_ms": 30_000}, "holder"),
        (WANT | {"ttl_ms": 999}, "ttl_ms"),
        (WANT | {"ttl_ms": 600_001}, "ttl_ms"),
        (WANT | {"wait_ms": -1}, "wait_ms"),
        (WANT | {"wait_ms": 30_001}, "wait_ms"),
        (WANT | {"guards": ["a b"]}, "guards[0]"),
        (WANT | {"guards": ["a", "a"]}, "guards"),
        (WANT | {"guards": [str(i) for i in range(33)]}, "guards"),
        (WANT | {"fence": 1}, "fence"),
    ],
)
async def test_a_malformed_acquire_names_the_field(
    harness: HttpHarness, body: dict[str, Any], path: str
) -> None:
    answer = await harness.ask("POST", f"{LEASE}:acquire", body)
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, path)
    assert harness.engine.asked == []


@pytest.mark.parametrize("fence", [0, -1, "1", 1.5, None])
@pytest.mark.parametrize("action", ["renew", "release"])
async def test_a_malformed_fence_names_the_field(
    harness: HttpHarness, action: str, fence: Any
) -> None:
    answer = await harness.ask("POST", f"{LEASE}:{action}", {"holder": "a", "fence": fence})
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "fence")


async def test_a_key_may_look_like_a_verb_where_only_a_name_can_stand(
    harness: HttpHarness,
) -> None:
    assert (await harness.ask("POST", f"{LEASE}:acquire:acquire", WANT)).json["key"] == (
        "deploy.prod:acquire"
    )
    assert (await harness.ask("GET", f"{LEASE}:acquire")).json["key"] == "deploy.prod:acquire"
    refused = await harness.ask("PUT", f"{LEASE}:acquire", WANT)
    assert (refused.status, refused.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("key", ["a%20b", "a~b~c", "a" * 201, "%C3%A9"])
async def test_a_key_outside_the_grammar_is_refused(harness: HttpHarness, key: str) -> None:
    answer = await harness.ask("POST", f"/v1/ns/team/leases/{key}:acquire", WANT)
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "key")


async def test_guards_need_the_right_to_write(keyring: Keyring) -> None:
    only_leases = keyring.add([Scope.LEASE], ["team"])
    harness = HttpHarness(keyring.file)
    body = WANT | {"guards": ["release"]}
    answer = await harness.ask("POST", f"{LEASE}:acquire", body, key=only_leases)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert (await harness.ask("POST", f"{LEASE}:acquire", WANT, key=only_leases)).status == 200


async def test_what_is_asked_reaches_the_engine(harness: HttpHarness) -> None:
    body = WANT | {"wait_ms": 5000, "guards": ["release"]}
    await harness.ask("POST", f"{LEASE}:acquire", body, headers={"Idempotency-Key": "k"})
    (request,) = harness.engine.asked
    assert (request.wait_ms, request.guards, request.idempotency_key) == (5000, ("release",), "k")
