"""`Spine` and `AsyncSpine`: what they send, and what importing them costs."""

import inspect
import json
import subprocess
import sys
from typing import Any

import pytest

import memory_spine
from memory_spine import AsyncSpine, ConfigError, Memory, NotFound, Spine
from memory_spine.aio_leases import AsyncLease, AsyncLeases
from memory_spine.aio_memories import AsyncMemories, AsyncPager
from memory_spine.sync_leases import Lease, Leases
from memory_spine.sync_memories import Memories, Pager
from unit.client.scripted_server import MEMORY, AsyncScriptedServer, ScriptedServer, ok, problem

PAGE = {"items": [MEMORY], "coverage": {"slots": 4096, "answered": 4096}}


def _spine(server: ScriptedServer, **options: Any) -> Spine:
    return Spine("http://a", namespace="acme", transport=server, **options)


def _public(client: type) -> dict[str, Any]:
    return {
        name: member
        for name, member in inspect.getmembers(client)
        if not name.startswith("_") or name == "__init__"
    }


@pytest.mark.parametrize(
    ("blocking", "awaiting"),
    [
        (Spine, AsyncSpine),
        (Memories, AsyncMemories),
        (Pager, AsyncPager),
        (Leases, AsyncLeases),
        (Lease, AsyncLease),
    ],
)
def test_both_clients_have_the_same_names_and_parameters(blocking: type, awaiting: type) -> None:
    here, there = _public(blocking), _public(awaiting)
    assert here.keys() == there.keys()
    for name, member in here.items():
        if not inspect.isfunction(member):
            continue
        mine, theirs = (
            [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()]
            for f in (member, there[name])
        )
        assert mine == theirs, name
        assert inspect.getdoc(member) == inspect.getdoc(there[name]), name


def _loaded(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules)\n{statement}\nprint(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_but_itself() -> None:
    loaded = _loaded("import memory_spine")
    assert {name for name in loaded if name.startswith("memory_spine")} == {"memory_spine"}
    assert len(loaded) < 40  # typing and importlib bring some of the standard library
    assert not loaded & {"msgspec", "urllib3", "aiohttp", "ssl", "socket"}


def test_the_blocking_client_never_loads_aiohttp_nor_anything_of_a_node() -> None:
    loaded = _loaded("from memory_spine import Spine; Spine('http://a')")
    assert not loaded & {"aiohttp", "asyncio.runners", "spine_core", "spine_node"}


def test_every_exported_name_is_listed_before_it_is_used() -> None:
    code = "import memory_spine; print(*dir(memory_spine))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(memory_spine.__all__) <= set(done.stdout.split())


def test_every_exported_name_can_be_imported() -> None:
    for name in memory_spine.__all__:
        assert getattr(memory_spine, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Spline'"):
        memory_spine.Spline  # noqa: B018 - asking is the test


def test_create_sends_what_was_given_and_nothing_else() -> None:
    server = ScriptedServer([ok(status=201)])
    memory = _spine(server, api_key="k").memories.create(
        "hello", tags=["task"], ttl=60, partition_by="p", key="mine"
    )
    (request,) = server.requests
    assert (request.method, request.url) == ("POST", "http://a/v1/ns/acme/memories")
    assert json.loads(request.body or b"") == {
        "content": "hello",
        "tags": ["task"],
        "ttl_seconds": 60,
        "partition_by": "p",
    }
    assert request.headers["Idempotency-Key"] == "mine"
    assert request.headers["Authorization"] == "Bearer k"
    assert memory.created_at.isoformat() == "2026-11-22T10:00:00+00:00"
    assert memory.etag == '"0192f0c0a0b00000-00000001"'


def test_a_memory_that_was_read_can_be_changed_and_given_back() -> None:
    server = ScriptedServer([ok(), ok()])
    memories = _spine(server).memories
    memory = memories.get("t-1")
    memories.put(memory.replace(metadata={"n": memory.metadata["n"] + 1}))
    request = server.requests[1]
    assert (request.method, request.url) == ("PUT", "http://a/v1/ns/acme/memories/t-1")
    body = json.loads(request.body or b"")
    assert body["metadata"] == {"n": 2}
    assert {**body, "metadata": {"n": 1}}.items() >= {**MEMORY, "created_at": body["created_at"],
                                                       "updated_at": body["updated_at"]}.items()  # fmt: skip


VIEW = {**MEMORY, "omitted": ["embedding"], "guard": {"key": "lease-1", "fence": 3}}


def _put_back(memory: Memory) -> dict[str, Any]:
    server = ScriptedServer([ok(VIEW)])
    _spine(server).memories.put(memory)
    body: dict[str, Any] = json.loads(server.requests[0].body or b"")
    return body


def test_a_view_that_is_given_back_asks_to_keep_what_it_leaves_out() -> None:
    memory = _spine(ScriptedServer([ok(VIEW)])).memories.get("t-1")
    body = _put_back(memory.replace(content="changed"))
    assert body["omitted"] == ["embedding"]
    assert body.keys() == {*VIEW, "derived_from"}
    assert {name for name in VIEW if body[name] != VIEW[name]} <= {
        *("content", "created_at", "updated_at"),
    }


def test_an_embedding_that_is_given_or_taken_away_is_no_longer_kept() -> None:
    memory = _spine(ScriptedServer([ok(VIEW)])).memories.get("t-1")
    given = _put_back(memory.replace(embedding={"vector": [1.0], "model": "m"}))
    assert given["embedding"] == {"vector": [1.0], "model": "m"}
    assert "omitted" not in given
    taken = _put_back(memory.replace(embedding=None))
    assert not taken.keys() & {"omitted", "embedding"}


def test_a_memory_with_its_embedding_is_given_back_whole() -> None:
    full = {**MEMORY, "embedding": {"vector": [0.5, 1.0], "model": "m"}, "ttl_seconds": 60}
    memory = _spine(ScriptedServer([ok(full)])).memories.get("t-1", include=["embedding"])
    body = _put_back(memory)
    assert body["embedding"] == {"vector": [0.5, 1.0], "model": "m"}
    assert body["ttl_seconds"] == 60


@pytest.mark.parametrize(("operands", "method"), [(2, "GET"), (200, "POST")])
def test_a_long_filter_goes_into_the_body_of_a_query(operands: int, method: str) -> None:
    server = ScriptedServer([ok({**PAGE, "next_page_token": "p2"}), ok(PAGE)])
    wanted = {"agent_id": {"$in": [f"agent-number-{number:03}" for number in range(operands)]}}
    list(_spine(server).memories.list(filter=wanted, include=["embedding"]))
    assert [request.method for request in server.requests] == [method] * 2
    second = server.requests[1]
    if method == "GET":
        assert "page_token=p2" in second.url
        return
    assert second.url == "http://a/v1/ns/acme/memories:query"
    assert json.loads(second.body or b"") == {
        "scope": "exact",
        "order": "-created_at",
        "page_size": 50,
        "filter": wanted,
        "page_token": "p2",
        "include": ["embedding"],
    }
    assert "Idempotency-Key" not in second.headers


def test_unknown_fields_of_a_newer_server_are_ignored() -> None:
    server = ScriptedServer([ok({**MEMORY, "trust": 0.9})])
    assert isinstance(_spine(server).memories.get("t-1"), Memory)


@pytest.mark.parametrize("memory_id", ["", ".", ".."])
def test_an_id_that_would_mean_another_resource_is_never_sent(memory_id: str) -> None:
    server = ScriptedServer()
    with pytest.raises(ConfigError, match=r"cannot stand in a path|memory_id is empty"):
        _spine(server).memories.delete(memory_id)
    assert not server.requests


def test_ids_are_escaped() -> None:
    server = ScriptedServer([ok({**MEMORY, "id": "al/ice~a:b@c d?e#f%"})])
    _spine(server).memories.get("al/ice~a:b@c d?e#f%")
    assert server.requests[0].url.endswith("/memories/al%2Fice~a:b@c%20d%3Fe%23f%25")


def test_a_misspelt_field_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(TypeError, match="no field tag"):
        _spine(ScriptedServer()).memories.create("hello", tag=["task"])  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="tags must be a sequence"):
        _spine(ScriptedServer()).memories.create("hello", tags="task")


def test_get_or_none_is_none_for_missing_and_deleted() -> None:
    server = ScriptedServer([problem("not-found", 404), problem("gone", 410), problem("gone", 410)])
    memories = _spine(server).memories
    assert memories.get_or_none("t-1") is None
    assert memories.get_or_none("t-1") is None
    with pytest.raises(NotFound):
        memories.get("t-1")


def test_a_list_goes_on_until_there_is_no_token() -> None:
    empty = {**PAGE, "items": []}
    server = ScriptedServer([
        ok({**PAGE, "next_page_token": "p2"}),
        ok({**empty, "next_page_token": "p3"}),
        ok(PAGE),
    ])  # fmt: skip
    found = list(_spine(server).memories.list(filter={"tags": "task"}, scope="subtree"))
    assert [memory.id for memory in found] == ["t-1", "t-1"]
    first, _, third = (request.url for request in server.requests)
    assert first == (
        "http://a/v1/ns/acme/memories?scope=subtree&order=-created_at&page_size=50"
        "&filter=%7B%22tags%22%3A%22task%22%7D"
    )
    assert "&page_token=p3" in third


async def test_the_awaiting_client_does_the_same() -> None:
    server = ScriptedServer([ok(), ok({**PAGE, "next_page_token": "p2"}), ok(PAGE),
                   ok({"results": [{"status": 201}], "failed": 0}), ok(status=204)])  # fmt: skip
    async with AsyncSpine(
        "http://a", namespace="acme", transport=AsyncScriptedServer(server)
    ) as spine:
        assert (await spine.memories.put("t-1", "hello")).id == "t-1"
        assert [m.id async for m in spine.memories.list()] == ["t-1", "t-1"]
        async with spine.memories.batch() as batch:
            batch.create("x")
        assert batch.result.failed == 0
        await spine.memories.delete("t-1")
        assert spine.stats.requests == 5


def test_the_last_answer_tells_which_node_it_was() -> None:
    server = ScriptedServer([ok(spine_node="spine-1", spine_epoch="7", spine_acks="2/3")])
    spine = _spine(server)
    spine.memories.put("t-1", "hello")
    assert spine.last_answer is not None
    assert (spine.last_answer.node, spine.last_answer.epoch) == ("spine-1", 7)
    assert spine.last_answer.acks == "2/3"
    assert spine.ns("other").last_answer is None


def test_a_view_can_be_pinned_to_a_node() -> None:
    server = ScriptedServer([ok(), ok()])
    spine = Spine(["http://a", "http://b/"], namespace="acme", transport=server)
    spine.with_options(urls="http://b", consistency="strong").memories.get("t-1")
    spine.memories.get("t-1")
    assert server.hosts == ["b", "a"]
    strong, plain = (request.headers.get("Spine-Consistency") for request in server.requests)
    assert (strong, plain) == ("strong", None)


def test_a_key_function_is_asked_before_every_attempt() -> None:
    keys = iter(["one", "two"])
    server = ScriptedServer([ok(), ok()])
    spine = _spine(server, api_key=lambda: next(keys))
    spine.memories.get("t-1")
    spine.memories.get("t-1")
    sent = [request.headers["Authorization"] for request in server.requests]
    assert sent == ["Bearer one", "Bearer two"]


def test_the_environment_fills_in_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINE_URL", "http://x:1, http://y:2")
    monkeypatch.setenv("SPINE_API_KEY", "secret")
    monkeypatch.setenv("SPINE_NAMESPACE", "from.env")
    server = ScriptedServer([ok()])
    Spine(transport=server).memories.get("t-1")
    (request,) = server.requests
    assert request.url == "http://x:1/v1/ns/from.env/memories/t-1"
    assert request.headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"url": "localhost:8788"}, "http://HOST:8788"),
        ({"url": "http://[::1"}, "http://HOST:8788"),
        ({"url": "http://a:99999"}, "http://HOST:8788"),
        ({"url": "http://a?b=c"}, "http://HOST:8788"),
        ({"url": "http://user:word@a"}, "http://HOST:8788"),
        ({"url": "http://a", "timeout": 0}, "timeout"),
        ({"url": "http://a", "timeout": float("nan")}, "timeout"),
        ({"url": "http://a", "consistency": "serial"}, "strong, causal"),
        ({"url": "http://a", "attempts": 0}, "attempts"),
        ({"url": "https://a", "ca_file": "/nowhere.crt"}, "/nowhere.crt"),
    ],
)
def test_a_wrong_option_says_so_at_once(options: dict[str, Any], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        Spine(**options)


@pytest.mark.parametrize("option", ["api_key", "session"])
def test_what_cannot_travel_in_a_header_is_refused_and_never_shown(option: str) -> None:
    server = ScriptedServer()
    options: dict[str, Any] = {option: "se\ncret"}
    with pytest.raises(ConfigError, match=option) as refused:
        Spine("http://a", namespace="acme", transport=server, **options).memories.get("t-1")
    assert "cret" not in str(refused.value)
    assert not server.requests


def test_a_key_read_from_a_file_may_end_with_its_line() -> None:
    server = ScriptedServer([ok()])
    Spine("http://a", namespace="acme", api_key="secret\n", transport=server).memories.get("t-1")
    assert server.requests[0].headers["Authorization"] == "Bearer secret"


def test_nothing_that_is_shown_holds_the_key() -> None:
    server = ScriptedServer([ok()])
    spine = Spine("http://a", namespace="acme", api_key="secret", transport=server)
    spine.memories.get("t-1")
    assert repr(spine) == "Spine(http://a, namespace='acme')"
    assert "secret" not in f"{spine!r}{spine._core!r}{server.requests!r}"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_would_arrive_as_null_is_not_sent(number: float) -> None:
    server = ScriptedServer([ok()])
    memories = _spine(server).memories
    with pytest.raises(ConfigError, match="NaN"):
        memories.create("x", metadata={"a": [{"b": number}]})
    with pytest.raises(ConfigError, match="NaN"):
        memories.put(memories.get("t-1").replace(metadata={"a": number}))
    assert len(server.requests) == 1


@pytest.mark.parametrize("unset", [None, ""])
def test_memories_without_a_namespace_name_the_cure(
    unset: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPINE_NAMESPACE", raising=False)
    if unset is not None:
        monkeypatch.setenv("SPINE_NAMESPACE", unset)
    with pytest.raises(ConfigError, match="SPINE_NAMESPACE"):
        Spine("http://a", transport=ScriptedServer()).memories.get("t-1")
