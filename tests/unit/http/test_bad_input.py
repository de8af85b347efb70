"""Every way to be wrong has its answer: api.md §3.3 "Input", and more."""

from typing import Any

import msgspec
import pytest

from spine_core.records.encoding import split_body
from spine_node.http.bodies import kept_json
from spine_node.http.schema import MemoryInput
from unit.http.harness import MEMORIES, HttpHarness

GOOD = {"content": "x"}
DEEP_BYTES = b'{"metadata":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}"


def nested(levels: int) -> Any:
    """Return metadata of so many containers, one inside the other."""
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


async def refused(harness: HttpHarness, body: Any, status: int, path: str | None = None) -> None:
    """Assert that a create is refused with nothing stored, and that the problem names the field."""
    answer = await harness.ask("POST", MEMORIES, body)
    assert answer.status == status, answer.body
    assert answer.json["outcome"] == "not-applied"
    assert harness.engine.records == {}
    if path is not None:
        assert [error["path"] for error in answer.json["errors"]] == [path]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'content':'x'}",
        b'{"content":"x"} {}',
        b'\xef\xbb\xbf{"content":"x"}',
        b'{"content":"\xff"}',
        b'{"metadata":{"\xff":1}}',
        b'{"content":"\\ud800"}',
        b'{"metadata":{"\\udc00":1}}',
        b'{"metadata":{"a":NaN}}',
        b'{"metadata":{"a":Infinity}}',
        b'{"content":"a\x00"}',
        b"\xff\xfe{\x00}\x00",
    ],
)
async def test_what_is_no_json_is_400(harness: HttpHarness, body: bytes) -> None:
    await refused(harness, body, 400)


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null", b"true"])
async def test_json_that_is_no_object_is_422(harness: HttpHarness, body: bytes) -> None:
    await refused(harness, body, 422, "")


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({}, "content"),
        ({"content": ""}, "content"),
        ({"content": "", "metadata": {}}, "content"),
        ({"content": None}, "content"),
        ({"content": 1}, "content"),
        ({"content": "x" * 65_537}, "content"),
        ({"content": "é" * 32_769}, "content"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": "x" * 65_536}}, "metadata"),
        ({"metadata": {"a": {"b": [0, 2**63]}}}, "metadata.a.b[1]"),
        ({"metadata": {"a": -(2**63) - 1}}, "metadata.a"),
        ({"metadata": {"a": 10**4000}}, "metadata.a"),
        ({"tags": ["a", "a"]}, "tags"),
        ({"tags": [""]}, "tags[0]"),
        ({"tags": ["a", "b c"]}, "tags[1]"),
        ({"tags": ["a\n"]}, "tags[0]"),
        ({"tags": ["a\x00"]}, "tags[0]"),
        ({"tags": ["a\x7f"]}, "tags[0]"),
        ({"tags": ["x" * 65]}, "tags[0]"),
        ({"tags": [str(i) for i in range(33)]}, "tags"),
        ({"tags": "a"}, "tags"),
        ({"agent_id": ""}, "agent_id"),
        ({"agent_id": "a\x00b"}, "agent_id"),
        ({"agent_id": "a\n"}, "agent_id"),
        ({"agent_id": "x" * 129}, "agent_id"),
        ({"user_id": "a\x85b"}, "user_id"),
        ({"thread_id": "a\u2028b"}, "thread_id"),
        ({"partition_by": "\x1b"}, "partition_by"),
        ({"importance": 1.01}, "importance"),
        ({"importance": -0.01}, "importance"),
        ({"importance": "high"}, "importance"),
        ({"pinned": 1}, "pinned"),
        ({"ttl_seconds": 0}, "ttl_seconds"),
        ({"ttl_seconds": 315_360_001}, "ttl_seconds"),
        ({"ttl_seconds": 1.5}, "ttl_seconds"),
        ({"ttl_seconds": True}, "ttl_seconds"),
        ({"ttl_seconds": 2**70}, "ttl_seconds"),
        ({"embedding": {"vector": []}}, "embedding.vector"),
        ({"embedding": {"vector": [0.0] * 4097}}, "embedding.vector"),
        ({"embedding": {"vector": ["1"]}}, "embedding.vector[0]"),
        ({"embedding": {"model": "m"}}, "embedding"),
        ({"embedding": {"vector": [1], "dims": 1}}, "embedding.dims"),
        ({"embedding": {"model": "x" * 129, "vector": [1]}}, "embedding.model"),
        ({"derived_from": ["a", "b c"]}, "derived_from[1]"),
        ({"derived_from": ["a~b~c"]}, "derived_from[0]"),
        ({"derived_from": ["a\n"]}, "derived_from[0]"),
        ({"derived_from": [".."]}, "derived_from[0]"),
        ({"derived_from": ["x" * 201]}, "derived_from[0]"),
        ({"derived_from": ["a"] * 65}, "derived_from"),
        ({"id": "mine"}, "id"),
        ({"namespace": "acme.support"}, "namespace"),
        ({"version": "1"}, "version"),
        ({"contents": "typo"}, "contents"),
        ({"": 1}, ""),
    ],
)
async def test_a_broken_rule_is_422_and_named(
    harness: HttpHarness, wrong: dict[str, Any], path: str
) -> None:
    empty = "content" in wrong or wrong == {} or "metadata" in wrong
    await refused(harness, wrong if empty else GOOD | wrong, 422, path)


@pytest.mark.parametrize(
    "body",
    [
        b'{"importance":1e999,"content":"x"}',
        b'{"metadata":{"a":1e999}}',
        b'{"embedding":{"vector":[1e999]},"content":"x"}',
    ],
)
async def test_a_number_beyond_a_float_is_422(harness: HttpHarness, body: bytes) -> None:
    await refused(harness, body, 422)


async def test_deep_nesting_is_422_and_no_crash(harness: HttpHarness) -> None:
    await refused(harness, {"metadata": nested(17)}, 422, "metadata" + ".a" * 16)
    await refused(harness, DEEP_BYTES, 422)
    assert (await harness.ask("POST", MEMORIES, {"metadata": nested(16)})).status == 201


@pytest.mark.parametrize(
    "good",
    [
        {"content": "x" * 65_536},
        {"content": "é" * 32_768},
        {"metadata": {"a": "x" * (65_536 - len('{"a":""}'))}},
        {"metadata": {"a": 2**63 - 1, "b": -(2**63)}},
        {"content": "null byte \x00 in a text"},
        {"content": "x", "tags": ["é" * 64], "agent_id": "a b", "importance": 1},
        {"content": "x", "derived_from": ["p~n", "..."], "ttl_seconds": 315_360_000},
        {"content": "x", "embedding": {"vector": [1] * 4096}},
    ],
)
async def test_the_limits_themselves_are_allowed(
    harness: HttpHarness, good: dict[str, Any]
) -> None:
    assert (await harness.ask("POST", MEMORIES, good)).status == 201


NULLS = dict.fromkeys(
    [
        "tags", "agent_id", "user_id", "thread_id", "importance", "pinned", "ttl_seconds",
        "derived_from", "embedding",
    ]
)  # fmt: skip
SERVER_NULLS = dict.fromkeys(
    [
        "id", "namespace", "omitted", "version", "created_at", "updated_at", "expires_at", "writer",
        "guard",
    ]
)  # fmt: skip


async def test_null_is_the_same_as_absent_in_every_optional_field(harness: HttpHarness) -> None:
    embedding = {"vector": [1.0], "model": None}
    bodies = [
        ("POST", MEMORIES, {"content": "x", "metadata": None, "partition_by": None} | NULLS),
        ("POST", MEMORIES, {"content": None, "metadata": {"a": None}} | NULLS),
        ("PUT", f"{MEMORIES}/n", {"content": "x", "metadata": None} | NULLS | SERVER_NULLS),
        ("PUT", f"{MEMORIES}/m", GOOD | {"embedding": embedding}),
    ]
    for method, path, body in bodies:
        answer = await harness.ask(method, path, body)
        assert answer.status == 201, answer.body
    stored = [msgspec.json.decode(split_body(r.body)[1]) for r in harness.engine.records.values()]
    absent = msgspec.json.decode(kept_json(MemoryInput(content="x")))
    assert stored[0] == absent == stored[2]
    assert stored[1]["metadata"] == {"a": None}
    assert stored[3]["embedding"] == {"vector": [1.0]}


async def test_null_is_the_same_as_absent_in_a_batch_and_a_query(harness: HttpHarness) -> None:
    nulls = dict.fromkeys(["if_match", "if_none_match", "fence"])
    operations = [
        {"op": "create", "id": None, "body": GOOD} | nulls,
        {"op": "delete", "id": "n", "body": None} | nulls,
    ]
    batch = await harness.ask("POST", f"{MEMORIES}:batch", {"operations": operations})
    assert [result["status"] for result in batch.json["results"]] == [201, 204]
    names = ["filter", "scope", "order", "page_size", "page_token", "include"]
    answer = await harness.ask("POST", f"{MEMORIES}:query", dict.fromkeys(names))
    assert (answer.status, len(answer.json["items"])) == (200, 1)


async def test_of_a_name_given_twice_the_last_one_wins(harness: HttpHarness) -> None:
    answer = await harness.ask("POST", MEMORIES, b'{"content":"a","content":"b"}')
    assert answer.json["content"] == "b"


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"id": "other"}, "id"),
        ({"namespace": "acme"}, "namespace"),
        ({"partition_by": "x"}, "partition_by"),
        ({"expires": None}, "expires"),
    ],
)
async def test_a_put_must_agree_with_its_path(harness: HttpHarness, wrong: Any, path: str) -> None:
    answer = await harness.ask("PUT", f"{MEMORIES}/n", GOOD | wrong)
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, path)
    assert harness.engine.records == {}


async def test_a_put_ignores_what_only_the_server_says(harness: HttpHarness) -> None:
    answer = await harness.ask(
        "PUT", f"{MEMORIES}/n", GOOD | {"writer": "eve", "version": "f", "created_at": "never"}
    )
    assert answer.json["writer"] == "anonymous"
    assert answer.json["created_at"].startswith("2027")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": ""}, 415),
        ({"Content-Type": "application/json; charset=latin-1"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "Application/JSON; charset=UTF-8"}, 201),
        ({"Spine-Consistency": "Strong"}, 400),
        ({"Spine-Timeout-Ms": "9"}, 400),
        ({"Spine-Timeout-Ms": "30001"}, 400),
        ({"Spine-Timeout-Ms": "1e3"}, 400),
        ({"Spine-Timeout-Ms": "-10"}, 400),
        ({"Spine-Timeout-Ms": ""}, 400),
        ({"Spine-Timeout-Ms": "٣٠٠"}, 400),
        ({"Spine-Session": "x"}, 400),
        ({"Spine-Session": ""}, 400),
        ({"Spine-Session": "x" * 601}, 400),
        ({"Spine-Session": ",".join("a" * 17)}, 400),
        ({"Idempotency-Key": ""}, 400),
        ({"Idempotency-Key": "a b"}, 400),
        ({"Idempotency-Key": "x" * 129}, 400),
    ],
)
async def test_a_wrong_header_is_refused(
    harness: HttpHarness, headers: dict[str, str], status: int
) -> None:
    answer = await harness.ask("POST", MEMORIES, GOOD, headers=headers)
    assert answer.status == status, answer.body
    assert len(harness.engine.records) == (status == 201)


@pytest.mark.parametrize(
    "name", ["Spine-Consistency", "Spine-Timeout-Ms", "Idempotency-Key", "Content-Type"]
)
async def test_a_header_that_counts_once_cannot_be_sent_twice(
    harness: HttpHarness, name: str
) -> None:
    value = {"Spine-Consistency": "causal", "Spine-Timeout-Ms": "100"}.get(name, "application/json")
    answer = await harness.ask("POST", MEMORIES, GOOD, headers=[(name, value), (name, value)])
    assert (answer.status, answer.code) == (400, "invalid-request")


@pytest.mark.parametrize(
    "etag", ["abc", 'W/"abc"', '"a", "b"', '""', '"' + "x" * 33 + '"', '"a"b"', "**", ""]
)
async def test_only_one_strong_etag_is_a_condition(harness: HttpHarness, etag: str) -> None:
    for method, name in (("GET", "If-None-Match"), ("PUT", "If-Match"), ("DELETE", "If-Match")):
        body = GOOD if method == "PUT" else None
        answer = await harness.ask(method, f"{MEMORIES}/n", body, headers={name: etag})
        assert (answer.status, answer.code) == (400, "invalid-request")


@pytest.mark.parametrize("fence", ["k", "k=", "=1", "k=x", "k=1 ", "k=" + "1" * 19])
async def test_a_fence_names_a_lease_and_a_number(harness: HttpHarness, fence: str) -> None:
    answer = await harness.ask("PUT", f"{MEMORIES}/n", GOOD, headers={"Spine-Fence": fence})
    assert answer.status == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/ns/_spine/memories/n", 422),
        ("/v1/ns/acme._leases/memories/n", 422),
        ("/v1/ns//memories/n", 422),
        ("/v1/ns/a..b/memories/n", 422),
        ("/v1/ns/a%20b/memories/n", 422),
        ("/v1/ns/a%0a/memories/n", 422),
        ("/v1/ns/" + "a" * 65 + "/memories/n", 422),
        ("/v1/ns/" + ".".join("a" * 9) + "/memories/n", 422),
        ("/v1/ns/acme/memories/", 422),
        ("/v1/ns/acme/memories/a%00", 422),
        ("/v1/ns/acme/memories/a%0A", 422),
        ("/v1/ns/acme/memories/a%2Fb", 422),
        ("/v1/ns/acme/memories/a~b~c", 422),
        ("/v1/ns/acme/memories/~b", 422),
        ("/v1/ns/acme/memories/.", 422),
        ("/v1/ns/acme/memories/%2E%2E", 422),
        ("/v1/ns/acme/memories/%C3%A9", 422),
        ("/v1/ns/acme/memories/" + "x" * 201, 422),
        ("/v1/ns/acme/memories/%FF", 400),
        ("/v1/ns/acme/memories/n/", 404),
        ("/v1/ns/acme/memorie/n", 404),
        ("/v1/ns/acme/memories/n?x=1", 422),
        ("/v1/ns/acme/memories/n?include=all", 400),
        ("/v1/ns/acme/memories/n?include", 400),
        ("/v1/ns/acme/memories/n?include=embedding&include=embedding", 400),
        ("/v1/ns/acme/memories/n?include=%FF", 400),
        ("/v1/ns/acme/memories/n?" + "&".join(f"a{i}=1" for i in range(40)), 400),
        ("", 404),
        ("*", 404),
    ],
)
async def test_a_wrong_path_or_query_is_refused(
    harness: HttpHarness, path: str, status: int
) -> None:
    assert (await harness.ask("GET", path)).status == status


async def test_a_body_beyond_its_limit_is_413(harness: HttpHarness) -> None:
    filling = msgspec.json.encode({"content": "x", "embedding": {"vector": [0] * 4096}})
    padded = filling + b" " * (1024 * 1024 - len(filling))
    assert (await harness.ask("POST", MEMORIES, padded)).status == 201
    answer = await harness.ask("POST", MEMORIES, padded + b" ")
    assert (answer.status, answer.code) == (413, "too-large")


async def test_a_problem_never_repeats_content_or_breaks_on_odd_text(harness: HttpHarness) -> None:
    answer = await harness.ask("POST", MEMORIES, {"content": "my secret", "importance": 7})
    assert b"my secret" not in answer.body
    odd = await harness.ask("GET", "/v1/ns/a\udcff/memories/n?\udcff=1")
    assert odd.status == 422
