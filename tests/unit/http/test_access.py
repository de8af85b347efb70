"""Who may do what: one decision before any handler, for every endpoint there is."""

import re
from pathlib import Path

import pytest

from spine_core.api_keys import ID_ENTROPY_BYTES, SECRET_ENTROPY_BYTES, Scope, make_key
from spine_core.errors import InvalidInputError
from spine_node.http.auth import Credentials
from spine_node.http.rate import TokenBucket
from spine_node.http.router import Route
from unit.http.harness import ADMIN_TOKEN, MEMORIES, ROUTES, Answer, HttpHarness, Keyring, day

SCOPED = [route for route in ROUTES if route.scope is not None]
IN_A_NAMESPACE = [route for route in ROUTES if "{ns}" in route.path]
LOCKED = [route for route in ROUTES if route.access == "key"]
ENTRY = (
    f"{{keys: [{{id: aaaaaaaaaa, sha256: {'a' * 64}, subject: s, scopes: [], namespaces: []}}]}}"
)
ADMIN = [route for route in ROUTES if route.access == "admin"]


def path_of(route: Route) -> str:
    """Return a path that means this route."""
    path = route.path.replace("{ns}", "acme.support").replace("{namespace}", "acme")
    return re.sub(r"{\w+}", "x", path)


def named(routes: list[Route]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("route", routes, ids=lambda route: route.name)


async def call(harness: HttpHarness, route: Route, key: str | None = None) -> Answer:
    body = {"content": "x"} if route.body is not None else None
    return await harness.ask(route.method, path_of(route), body, key=key)


def test_every_endpoint_that_touches_a_namespace_asks_for_a_key() -> None:
    assert {route.access for route in IN_A_NAMESPACE} == {"key"}
    assert len(IN_A_NAMESPACE) > 20


@named(LOCKED)
async def test_no_endpoint_answers_without_a_key(route: Route, keyring: Keyring) -> None:
    keyring.add(list(Scope), ["*"])
    answer = await call(HttpHarness(keyring.file), route)
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@named(IN_A_NAMESPACE)
async def test_every_endpoint_hides_the_namespaces_of_others(
    route: Route, keyring: Keyring
) -> None:
    key = keyring.add(list(Scope), ["acme.supp", "acme.support.eu", "other"])
    harness = HttpHarness(keyring.file)
    answer = await call(harness, route, key)
    assert (answer.status, answer.code) == (404, "not-found")
    assert harness.engine.seen == []


@named(SCOPED)
async def test_every_endpoint_needs_its_scope(route: Route, keyring: Keyring) -> None:
    key = keyring.add([scope for scope in Scope if scope != route.scope], ["acme"])
    harness = HttpHarness(keyring.file)
    answer = await call(harness, route, key)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert harness.engine.seen == []


@named(SCOPED)
async def test_its_scope_in_a_namespace_above_is_enough(route: Route, keyring: Keyring) -> None:
    assert route.scope is not None
    key = keyring.add([route.scope], ["acme"])
    answer = await call(HttpHarness(keyring.file), route, key)
    assert answer.status not in (401, 403)


@named(ADMIN)
async def test_the_admin_plane_has_a_credential_of_its_own(route: Route, keyring: Keyring) -> None:
    key = keyring.add(list(Scope), ["*"])
    harness = HttpHarness(keyring.file)
    for shown in (None, key, ADMIN_TOKEN[:-1], "ä"):
        assert (await call(harness, route, shown)).status == 401
    assert (await call(harness, route, ADMIN_TOKEN)).status != 401


async def test_the_admin_credential_opens_no_namespace(keyring: Keyring) -> None:
    keyring.add(list(Scope), ["*"])
    answer = await HttpHarness(keyring.file).ask("GET", f"{MEMORIES}/n", key=ADMIN_TOKEN)
    assert answer.status == 401


async def test_a_key_is_good_only_whole(keyring: Keyring) -> None:
    key = keyring.add(list(Scope), ["*"])
    other, _, _ = make_key(bytes(ID_ENTROPY_BYTES), bytes(SECRET_ENTROPY_BYTES))
    harness = HttpHarness(keyring.file)
    changed = key[:20] + ("a" if key[20] != "a" else "b") + key[21:]
    for wrong in (changed, other, key[:16], key + "a", key.upper(), "", "ä"):
        assert (await harness.ask("GET", "/v1/whoami", key=wrong)).status == 401, wrong
    for scheme in ("Basic", "bearer", "Bearer"):
        answer = await harness.ask(
            "GET", "/v1/whoami", headers={"Authorization": f"{scheme} {key}"}
        )
        assert (answer.status == 200) is (scheme != "Basic")


async def test_two_credentials_are_none(keyring: Keyring) -> None:
    key = keyring.add(list(Scope), ["*"])
    headers = [("Authorization", f"Bearer {key}"), ("Authorization", "Bearer x")]
    assert (await HttpHarness(keyring.file).ask("GET", "/v1/whoami", headers=headers)).status == 400


async def test_the_writer_is_the_subject_of_the_key(keyring: Keyring) -> None:
    key = keyring.add([Scope.WRITE], ["acme"], subject='bot "7"')
    answer = await HttpHarness(keyring.file).ask("PUT", f"{MEMORIES}/n", {"content": "x"}, key=key)
    assert answer.json["writer"] == 'bot "7"'


async def test_a_key_ends_at_its_time(keyring: Keyring) -> None:
    key = keyring.add([], ["acme"], not_after=day(2028))
    harness = HttpHarness(keyring.file)
    answer = await harness.ask("GET", "/v1/whoami", key=key)
    assert answer.json["not_after"] == "2028-01-01T00:00:00.000Z"
    harness.clock.ms = int(day(2028).timestamp() * 1000) - 1
    assert (await harness.ask("GET", "/v1/whoami", key=key)).status == 200
    harness.clock.ms += 1
    assert (await harness.ask("GET", "/v1/whoami", key=key)).status == 401


async def test_whoami_tells_what_the_key_is_good_for(keyring: Keyring) -> None:
    key = keyring.add([Scope.READ, Scope.LEASE], ["acme.support", "b"], subject="bot")
    answer = await HttpHarness(keyring.file).ask("GET", "/v1/whoami", key=key)
    assert answer.json == {
        "subject": "bot",
        "auth": "api-key",
        "key_id": key[6:16],
        "scopes": ["lease", "memory:read"],
        "namespaces": ["acme.support", "b"],
        "not_after": None,
    }


async def test_a_changed_file_is_read_again_and_a_broken_one_is_not(keyring: Keyring) -> None:
    first = keyring.add([], ["*"])
    harness = HttpHarness(keyring.file)
    second = keyring.add([], ["*"])
    harness.credentials.refresh()
    good = keyring.file.read_text()
    for text in ("keys: [", "keys: {}", "", "\xff", good.replace("sha256", "sha257")):
        keyring.file.write_text(text)
        harness.credentials.refresh()
        harness.credentials.refresh()  # the same broken file counts once
        for key in (first, second):
            assert (await harness.ask("GET", "/v1/whoami", key=key)).status == 200
    keyring.file.unlink()
    harness.credentials.refresh()
    assert len(harness.refusals) == 6
    keyring.file.write_text("keys: []")
    harness.credentials.refresh()
    assert (await harness.ask("GET", "/v1/whoami", key=first)).status == 401


@pytest.mark.parametrize(
    "text",
    [
        "",
        "keys: [{id: short}]",
        "keys: [], more: 1",
        ENTRY.replace("scopes: []", "scopes: [root]"),
        ENTRY.replace("namespaces: []", "namespaces: ['a b']"),
        ENTRY.replace("namespaces: []", "namespaces: [_spine]"),
        ENTRY.replace("}", ", not_after: 2027-01-01T00:00:00}", 1),
        ENTRY.replace("}", ", rate: {per_second: 0, burst: 1}}", 1),
    ],
)
def test_a_node_does_not_start_with_a_broken_file(text: str, tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(text)
    with pytest.raises(InvalidInputError):
        Credentials(file)
    with pytest.raises(InvalidInputError):
        Credentials(tmp_path / "missing.yaml")
    file.write_text(ENTRY)
    Credentials(file)


def test_a_key_id_stands_once(keyring: Keyring) -> None:
    keyring.add([], [])
    keyring.entries.append(keyring.entries[0])
    keyring.add([], [])
    with pytest.raises(InvalidInputError, match="twice"):
        Credentials(keyring.file)


async def test_a_key_over_its_rate_is_told_when_to_come_again(keyring: Keyring) -> None:
    key = keyring.add([], ["*"], rate={"per_second": 0.5, "burst": 2})
    harness = HttpHarness(keyring.file)
    answers = [await harness.ask("GET", "/v1/whoami", key=key) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 2
    assert answers[2].json["retryable"] is True


def test_a_bucket_fills_with_time_and_not_beyond_its_burst() -> None:
    bucket = TokenBucket(per_second=2, burst=3)
    assert [bucket.take(100.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert bucket.take(100.5) == 0
    assert [bucket.take(1000.0) > 0 for _ in range(4)] == [False, False, False, True]
