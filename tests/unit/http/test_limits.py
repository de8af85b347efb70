"""Every documented maximum can be reached, together with those that stand beside it.

Each case is one request with everything in it at its limit, sent through a socket as a client that
escapes all text would send it. What `GET /v1/cluster` publishes must be in one of the cases.
"""

import io
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from spine_core.records.filters import OPERANDS_MAX, TESTS_MAX
from spine_core.records.sessions import WRITES_MAX, Session, seal_session
from spine_core.records.tokens import SESSION_CHARS_MAX
from spine_core.records.versions import make_version
from spine_core.scalars import Hlc, Origin
from spine_node.http import limits
from spine_node.ports import ListRequest
from unit.http.harness import SESSION_KEY, HttpHarness
from unit.http.test_server import listen

NAMESPACE = ".".join(["n" * 31] * 8)
LONG_ID = "i" * 200
MEMORIES = f"/v1/ns/{NAMESPACE}/memories"
ASTRAL = "\U0001f600"  # four bytes of UTF-8, twelve when it is escaped


def tokens(number: int) -> list[str]:
    """Return session tokens of the largest kind: each has as many writes as fit."""
    return [
        seal_session(
            Session(
                Hlc(2**63 - 1),
                Hlc(2**63 - 1),
                tuple(
                    (2**64 - 1 - write, make_version(Hlc(2**62 + i), Origin(1)))
                    for write in range(WRITES_MAX)
                ),
            ),
            SESSION_KEY,
        )
        for i in range(number)
    ]


def memory() -> dict[str, Any]:
    """Return a memory with every field at its limit."""
    metadata = {"a": ASTRAL * ((limits.METADATA_BYTES_MAX - len('{"a":"","b":}') - 62) // 4)}
    nested: Any = 1
    for _ in range(limits.METADATA_DEPTH_MAX - 1):
        nested = [nested]
    return {
        "content": "\x01" * limits.CONTENT_BYTES_MAX,
        "metadata": metadata | {"b": nested},
        "tags": [ASTRAL * (limits.TAG_CHARS_MAX - 2) + f"{i:02}" for i in range(limits.TAGS_MAX)],
        "agent_id": ASTRAL * limits.NAME_CHARS_MAX,
        "user_id": ASTRAL * limits.NAME_CHARS_MAX,
        "thread_id": ASTRAL * limits.NAME_CHARS_MAX,
        "ttl_seconds": limits.TTL_SECONDS_MAX,
        "derived_from": [LONG_ID] * limits.SOURCES_MAX,
        "embedding": {
            "model": ASTRAL * 128,
            "vector": [-1.2345678901234567e-100] * limits.VECTOR_MAX,
        },
    }


HEADERS = {
    "Spine-Session": ", ".join(tokens(limits.SESSION_TOKENS_MAX)),
    "Spine-Timeout-Ms": str(limits.TIMEOUT_MS_MAX),
    "Spine-Request-Id": "r" * 64,
    "Idempotency-Key": "k" * 128,
}


@dataclass(frozen=True)
class Case:
    """One request, and the published limits that it reaches."""

    method: str
    path: str
    body: Callable[[], Any]
    reaches: tuple[str, ...]
    headers: dict[str, str] = field(default_factory=dict)


def wide_filter() -> dict[str, Any]:
    ids = [f"{i:03}" + "i" * 197 for i in range(OPERANDS_MAX)]
    return {"$or": [{"id": {"$in": ids}} for _ in range(TESTS_MAX)]}


def full_batch() -> dict[str, Any]:
    """Return a batch of as many operations and bytes as may be; the ids are the longest."""
    operations = [
        {"op": "put", "id": f"{i:03}" + "i" * 197, "body": {"content": ""}}
        for i in range(limits.BATCH_OPERATIONS_MAX)
    ]
    size = len(json.dumps({"operations": operations}))
    each = (limits.BATCH_BYTES_MAX - size) // limits.BATCH_OPERATIONS_MAX
    for operation in operations:
        operation["body"] = {"content": "x" * each}
    return {"operations": operations}


CASES = [
    Case(
        "PUT",
        f"{MEMORIES}/{LONG_ID}",
        memory,
        (
            "body_bytes", "content_bytes", "metadata_bytes", "metadata_depth", "tags", "tag_chars",
            "name_chars", "ttl_seconds", "vector", "derived_from", "timeout_ms", "header_bytes",
            "session_tokens", "session_chars",
        ),
        HEADERS,
    ),
    Case("POST", f"{MEMORIES}:batch", full_batch, ("batch_bytes", "batch_operations"), HEADERS),
    Case(
        "POST",
        f"{MEMORIES}:query",
        lambda: {
            "filter": wide_filter(),
            "page_size": limits.PAGE_SIZE_MAX,
            "page_token": "0" * limits.PAGE_TOKEN_CHARS_MAX,
        },
        ("query_bytes", "page_size", "page_token_chars"),
        HEADERS,
    ),
    Case(
        "POST",
        "/v1/session:merge",
        lambda: {"tokens": tokens(limits.SESSION_TOKENS_MAX)},
        ("session_tokens",),
    ),
    Case(
        "GET",
        "/v1/whoami",
        lambda: None,
        ("headers",),
        {f"X-{i}": "x" for i in range(limits.HEADERS_MAX - 5)},  # the client sends five itself
    ),
]  # fmt: skip
BY_OTHER_TESTS = {
    "in_flight",  # no property of one request: test_health
    # test_watch, test_watch_streams
    "changes", "changes_wait_ms", "cursor_chars", "watches", "watch_buffer_bytes",
}  # fmt: skip


@pytest.fixture
async def client(harness: HttpHarness) -> AsyncIterator[aiohttp.ClientSession]:
    server = await listen(harness)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        yield session
    await server.close(grace_s=0.05)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.method} {case.reaches[0]}")
async def test_a_request_with_everything_at_its_limit_is_understood(
    client: aiohttp.ClientSession, harness: HttpHarness, case: Case
) -> None:
    body = case.body()
    data = None if body is None else io.BytesIO(json.dumps(body, ensure_ascii=True).encode())
    headers = case.headers | ({} if data is None else {"Content-Type": "application/json"})
    async with client.request(case.method, case.path, data=data, headers=headers) as answer:
        text = await answer.text()
    if case.path.endswith(":query"):
        request = harness.engine.seen[-1]
        assert isinstance(request, ListRequest)
        assert request.page_token == "0" * limits.PAGE_TOKEN_CHARS_MAX  # which the double refuses
        return
    assert answer.status < 300, text[:500]
    assert json.loads(text).get("failed", 0) == 0


async def test_the_largest_memory_can_be_read_and_put_back(client: aiohttp.ClientSession) -> None:
    path = f"{MEMORIES}/{LONG_ID}"
    for _ in range(2):
        async with client.put(path, json=memory(), headers=HEADERS) as put:
            assert put.status < 300
        async with client.get(path, params={"include": "embedding"}, headers=HEADERS) as got:
            view = await got.json()
        assert {name: view[name] for name in memory()} == memory()
        async with client.put(path, json=view, headers=HEADERS) as back:
            assert back.status == 200


async def test_the_longest_url_has_room_for_a_page_token_and_a_filter(
    client: aiohttp.ClientSession, harness: HttpHarness
) -> None:
    query = {
        "filter": json.dumps({"id": {"$in": [LONG_ID] * 20}}),
        "page_token": "0" * limits.PAGE_TOKEN_CHARS_MAX,
    }
    url = f"{MEMORIES}?{urlencode(query)}"
    assert len(url) <= limits.HEADER_BYTES_MAX
    async with client.get(url) as answer:
        await answer.read()
    assert isinstance(harness.engine.seen[-1], ListRequest)


def test_every_published_limit_is_reached_by_a_case() -> None:
    reached = {name for case in CASES for name in case.reaches}
    assert reached | BY_OTHER_TESTS == set(limits.PUBLISHED)


def test_the_largest_session_token_is_within_its_limit() -> None:
    (token,) = tokens(1)
    assert 500 < len(token) <= SESSION_CHARS_MAX
