"""Links of clients: every call is answered as a request that came by itself."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from spine_core.api_keys import Scope
from spine_node.http.limits import BODY_BYTES_MAX
from unit.http.harness import MEMORIES, HttpHarness, Keyring
from unit.http.linked_client import Client, linked, listening


@pytest.fixture
async def client(harness: HttpHarness) -> AsyncIterator[Client]:
    async with listening(harness) as server, linked(server) as client:
        yield client


def code_of(body: bytes) -> str:
    code: str = json.loads(body)["code"]
    return code


async def test_a_call_is_answered_as_the_request_is(harness: HttpHarness, client: Client) -> None:
    put = await client.ask("PUT", f"{MEMORIES}/n", b'{"content":"x"}', Spine_Request_Id="mine")
    assert (put[0], put[1]["Spine-Request-Id"]) == (201, "mine")
    for target in (f"{MEMORIES}/n", f"{MEMORIES}?page_size=1", "/v1/whoami", f"{MEMORIES}/no"):
        by_http = await harness.ask("GET", target, headers={"Spine-Request-Id": "mine"})
        by_link = await client.ask("GET", target, Spine_Request_Id="mine")
        assert by_link == (by_http.status, by_http.headers, by_http.body)
    assert "getMemory" in [name for name, _seconds in harness.measured]


async def test_head_has_no_body(client: Client) -> None:
    await client.ask("PUT", f"{MEMORIES}/n", b'{"content":"x"}')
    status, headers, body = await client.ask("HEAD", f"{MEMORIES}/n")
    assert (status, body) == (200, b"")
    assert headers["ETag"]


async def test_what_is_ready_in_one_turn_is_one_message(client: Client) -> None:
    await client.send(*((n, "GET", "/v1/whoami", {}, b"") for n in range(100)))
    answers = await client.receive()
    assert sorted(part[0] for part in answers) == list(range(100))


async def test_no_call_waits_for_another(harness: HttpHarness, client: Client) -> None:
    harness.engine.gate = asyncio.Event()
    await client.send((1, "PUT", f"{MEMORIES}/n", {}, b'{"content":"x"}'))
    await client.send((2, "GET", "/v1/whoami", {}, b""))
    assert [part[0] for part in await client.receive()] == [2]
    harness.engine.gate.set()
    assert [(part[0], part[1]) for part in await client.receive()] == [(1, 201)]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1", "null"])
async def test_no_page_of_a_browser_gets_a_link(harness: HttpHarness, origin: str) -> None:
    async with listening(harness) as server:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with linked(server, Origin=origin):
                pass
    assert refused.value.status == 403


async def test_without_keys_only_this_machine_may_be_named_as_the_host() -> None:
    async with listening(HttpHarness(local_only=True)) as server:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with linked(server, Host="rebound.example"):
                pass
        assert refused.value.status == 403
        async with linked(server) as client:
            assert (await client.ask("GET", "/v1/whoami"))[0] == 200
            forged = await client.ask("GET", "/v1/whoami", Origin="https://evil.example")
            assert (forged[0], code_of(forged[2])) == (403, "forbidden")


@pytest.mark.parametrize("headers", [{}, {"Upgrade": "websocket", "Connection": "upgrade"}])
async def test_what_is_no_upgrade_is_refused(harness: HttpHarness, headers: dict[str, str]) -> None:
    async with listening(harness) as server, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{server.port}/v1/link"
        async with session.get(url, headers=headers) as answer:
            assert (answer.status, code_of(await answer.read())) == (400, "invalid-request")


async def test_the_upgrade_needs_a_key(keyring: Keyring) -> None:
    keyring.add([Scope.READ], ["*"])
    async with listening(HttpHarness(keyring.file)) as server:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with linked(server):
                pass
    assert refused.value.status == 401


async def test_the_key_is_asked_for_with_every_call(keyring: Keyring) -> None:
    reader = keyring.add([Scope.READ], ["acme"])
    writer = keyring.add([Scope.READ, Scope.WRITE], ["acme"])
    harness = HttpHarness(keyring.file)
    body, of_writer = b'{"content":"x"}', f"Bearer {writer}"
    async with (
        listening(harness) as server,
        linked(server, Authorization=f"Bearer {reader}") as client,
    ):
        assert (await client.ask("PUT", f"{MEMORIES}/n", body))[0] == 403
        own = await client.ask("PUT", f"{MEMORIES}/n", body, Authorization=of_writer)
        assert own[0] == 201
        assert (await client.ask("GET", f"{MEMORIES}/n"))[0] == 200
        assert (await client.ask("GET", "/v1/ns/other/memories/n"))[0] == 404
        assert (await client.ask("GET", "/v1/whoami", Authorization=""))[0] == 401
        del keyring.entries[0]
        keyring.add([Scope.READ], ["*"])  # writes the file
        harness.credentials.refresh()
        revoked = await client.ask("GET", f"{MEMORIES}/n")
        assert (revoked[0], code_of(revoked[2])) == (401, "unauthenticated")


async def test_every_call_takes_from_the_rate_of_its_key(keyring: Keyring) -> None:
    key = keyring.add([Scope.READ], ["*"], rate={"per_second": 0.001, "burst": 3})
    async with (
        listening(HttpHarness(keyring.file)) as server,
        linked(server, Authorization=f"Bearer {key}") as client,
    ):
        statuses = [(await client.ask("GET", "/v1/whoami"))[0] for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_a_body_too_large_is_refused_as_by_http(client: Client) -> None:
    body = b" " * (BODY_BYTES_MAX + 1)
    status, _headers, answer = await client.ask("PUT", f"{MEMORIES}/n", body)
    assert (status, code_of(answer)) == (413, "too-large")


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/v1/" + "x" * 8200, {}),
        ("/v1/whoami", {"Spine-Session": "x" * 8200}),
        ("/v1/whoami", {f"X-{n}": "" for n in range(129)}),
    ],
)
async def test_what_http_would_not_parse_is_refused(
    client: Client, target: str, headers: dict[str, str]
) -> None:
    await client.send((1, "GET", target, headers, b""), (2, "GET", "/v1/whoami", {}, b""))
    answers = {part[0]: part for part in await client.receive()}
    assert (answers[1][1], code_of(answers[1][3])) == (400, "invalid-request")
    assert answers[2][1] == 200
