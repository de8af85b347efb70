"""A node without keys serves its own machine only."""

import pytest

from spine_core.errors import InvalidInputError
from spine_node.http.origin_guard import guard_needed
from unit.http.harness import MEMORIES, HttpHarness

LOOPBACK = ["127.0.0.1", "127.8.8.8", "::1", "localhost", "[::1]"]
OUTSIDE = ["0.0.0.0", "::", "192.0.2.1", "spine.example", "127.0.0.1.example", ""]


@pytest.mark.parametrize("host", LOOPBACK)
def test_without_keys_loopback_is_served_under_guard(host: str) -> None:
    assert guard_needed(host, keys=False, open_to_all=False)
    assert guard_needed(host, keys=False, open_to_all=True)
    assert not guard_needed(host, keys=True, open_to_all=False)


@pytest.mark.parametrize("host", OUTSIDE)
def test_without_keys_any_other_address_ends_the_start(host: str) -> None:
    with pytest.raises(InvalidInputError, match="host"):
        guard_needed(host, keys=False, open_to_all=False)
    assert not guard_needed(host, keys=False, open_to_all=True)
    assert not guard_needed(host, keys=True, open_to_all=False)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8788"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "[::2]:8788"},
        {"Host": "[::1"},
        {"Host": ""},
        {"Host": "localhost", "Origin": "http://evil.example"},
        {"Host": "localhost", "Origin": "https://localhost.evil.example"},
        {"Host": "localhost", "Origin": "null"},
        {"Host": "localhost", "Origin": "file://"},
    ],
)
async def test_a_page_of_another_site_is_refused(headers: dict[str, str]) -> None:
    harness = HttpHarness(local_only=True)
    for path in (f"{MEMORIES}/n", "/v1/whoami", "/admin/v1/status", "/metrics"):
        answer = await harness.ask("GET", path, headers=headers)
        assert (answer.status, answer.code) == (403, "forbidden")
    assert harness.engine.seen == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost"},
        {"Host": "LOCALHOST:8788"},
        {"Host": "127.0.0.1:8788"},
        {"Host": "[::1]:8788"},
        {"Host": "localhost", "Origin": "http://127.0.0.1:3000"},
    ],
)
async def test_this_machine_is_served(headers: dict[str, str]) -> None:
    assert (
        await HttpHarness(local_only=True).ask("GET", "/v1/whoami", headers=headers)
    ).status == 200


async def test_with_keys_the_host_does_not_matter() -> None:
    assert (
        await HttpHarness().ask("GET", "/v1/whoami", headers={"Host": "a.example"})
    ).status == 200
