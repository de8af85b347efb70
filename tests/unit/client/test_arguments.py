"""Every argument of every public method is stored as what it means, or refused by its name.

Nothing else: no error of the encoder, no value that becomes another one on the way.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from memory_spine import AsyncSpine, ConfigError, Spine
from unit.client.scripted_server import MEMORY, AsyncScriptedServer, ScriptedServer, ok
from unit.client.values import FIELDS, NAMED, NAN, REFUSED, STORED, SURROGATE, UNSET, Modelled

Call = Callable[[Any, Any], Any]  # memories, value


def _with(**fields: Any) -> Call:
    return lambda memories, _: memories.create("x", **fields)


WRONG_FIELDS: list[tuple[str, object, str]] = [
    ("tags", "task", "tags must be a sequence"),
    ("tags", {"a", "b"}, "tags must be a sequence"),  # the first is the primary tag
    ("tags", ["a", None], r"tags\[1\] must be a text"),
    ("tags", [SURROGATE], r"tags\[0\] is not UTF-8"),
    ("tags", [b"a"], r"tags\[0\] must be a text, not bytes"),
    ("agent_id", 7, "agent_id must be a text or a UUID, not int"),
    ("agent_id", "", "agent_id is empty"),
    ("user_id", b"u", "user_id must be a text or a UUID, not bytes"),
    ("thread_id", SURROGATE, "thread_id is not UTF-8"),
    ("importance", "high", "importance must be a number, not str"),
    ("importance", True, "importance must be a number, not bool"),
    ("importance", NAN, "importance is NaN"),
    ("pinned", "no", "pinned must be True or False"),
    ("pinned", 1, "pinned must be True or False"),
    ("ttl", "60", "ttl must be seconds or a timedelta, not str"),
    ("ttl", True, "ttl must be seconds or a timedelta, not bool"),
    ("ttl", float("inf"), "ttl is NaN or infinite"),
    ("embedding", [1.0], "embedding must be"),
    ("embedding", {"vector": [1.0, NAN]}, r"embedding\.vector\[1\] is NaN"),
    ("embedding", {"vector": ["1"]}, r"embedding\.vector\[0\] must be a number"),
    ("embedding", {"vector": b"raw"}, "embedding must be"),
    ("embedding", {"vector": [1.0], "model": b"m"}, r"embedding\.model is bytes"),
    ("derived_from", "id", "derived_from must be a sequence"),
    ("derived_from", [None], r"derived_from\[0\] must be a text or a UUID, not None"),
    ("metadata", [1], "metadata must be a mapping, not list"),
    ("metadata", "text", "metadata must be a mapping, not str"),
    ("partition_by", 1, "partition_by must be a text or a UUID"),
    ("tag", ["a"], "no field tag"),
]

WRONG_IDS: list[tuple[object, str]] = [
    (None, "must be a text or a UUID, not None"),
    (7, "must be a text or a UUID, not int"),
    (b"t-1", "must be a text or a UUID, not bytes"),
    ("", "is empty"),
    (SURROGATE, "is not UTF-8"),
    ("..", "cannot stand in a path"),
]

BY_ID: list[Call] = [
    lambda memories, value: memories.get(value),
    lambda memories, value: memories.get_or_none(value),
    lambda memories, value: memories.delete(value),
    lambda memories, value: memories.put(value, "x"),
]

WRONG_CALLS: list[tuple[Call, object, str]] = [
    *((lambda memories, value: memories.create(value), value, message) for value, message in (
        (None, "content must be a text, not None"),
        (b"raw", "content must be a text, not bytes"),
        (Path("a"), "content must be a text, not PosixPath"),
        (NAMED, "content must be a text, not UUID"),
        (Modelled(a=1), "content must be a text, not Modelled"),
        (SURROGATE, "content is not UTF-8"),
    )),
    *((lambda memories, value: memories.put("t-1", "x", key=value), value, message) for value, message in (
        ("", "key is empty"),
        (7, "key must be a text or a UUID, not int"),
        ("a b\n", "key holds more than visible ASCII"),
        (SURROGATE, "key is not UTF-8"),
    )),
    (lambda memories, value: memories.delete("t-1", key=value), "", "key is empty"),
    (lambda memories, value: memories.create("x", key=value), "", "key is empty"),
    (lambda memories, value: memories.get("t-1", include=value), "embedding", "include must be a sequence"),
    (lambda memories, value: memories.put(value), 7, "memory must be a text or a UUID, not int"),
]  # fmt: skip

WRONG_LISTS: list[tuple[dict[str, Any], str]] = [
    ({"filter": [1]}, "filter must be a mapping"),
    ({"filter": {"metadata.a": b"raw"}}, r"filter\.metadata\.a is bytes"),
    ({"filter": {"tags": {"$in": [SURROGATE]}}}, "is not UTF-8"),
    ({"scope": "all"}, "scope is one of exact, subtree"),
    ({"order": "newest"}, "order is one of"),
    ({"page_size": "50"}, "page_size must be an integer, not str"),
    ({"page_size": 2.5}, "page_size must be an integer, not float"),
    ({"page_token": b"p"}, "page_token must be a text, not bytes"),
    ({"include": "embedding"}, "include must be a sequence"),
]

WRONG_CLIENTS: list[tuple[dict[str, Any], str]] = [
    ({"timeout": "3"}, "timeout must be a number, not str"),
    ({"timeout": timedelta(seconds=3)}, "timeout must be a number, not timedelta"),
    ({"timeout": NAN}, "timeout is NaN"),
    ({"attempts": 1.5}, "attempts must be an integer, not float"),
    ({"attempts": True}, "attempts must be an integer, not bool"),
    ({"namespace": ""}, "namespace is empty"),
    ({"namespace": 7}, "namespace must be a text or a UUID"),
    ({"consistency": 7}, "consistency is one of"),
    ({"api_key": b"secret"}, "api_key must be a text, or a function"),
    ({"session": b"token"}, "session must be a text, not bytes"),
    ({"url": [b"http://a"]}, r"url\[0\] must be a text, not bytes"),
    ({"url": []}, "url names no node"),
    ({"url": 7}, "url must be a sequence of texts, not int"),
    ({"url": "http://::1:8788"}, "an IPv6 address in brackets"),
    ({"proxy": "proxy:3128", "transport": None}, "is no proxy"),
]


class Blocking:
    """Runs calls on `Spine`."""

    def __init__(self) -> None:
        answers = [lambda request: ok({**MEMORY, "id": request.url.rsplit("/", 1)[-1]})] * 9
        self.server = ScriptedServer(list(answers))
        self.spine = Spine("http://a", namespace="acme", transport=self.server)

    def run(self, call: Call, value: object = None) -> Any:
        return call(self.spine.memories, value)

    def list(self, **arguments: Any) -> None:
        list(self.spine.memories.list(**arguments))


class Awaiting:
    """Runs the same calls on `AsyncSpine`."""

    def __init__(self) -> None:
        answers = [lambda request: ok({**MEMORY, "id": request.url.rsplit("/", 1)[-1]})] * 9
        self.server = ScriptedServer(list(answers))
        transport = AsyncScriptedServer(self.server)
        self.spine = AsyncSpine("http://a", namespace="acme", transport=transport)

    def run(self, call: Call, value: object = None) -> Any:
        async def awaited() -> Any:
            return await call(self.spine.memories, value)

        return asyncio.run(awaited())

    def list(self, **arguments: Any) -> None:
        async def awaited() -> None:
            async for _ in self.spine.memories.list(**arguments):
                pass

        asyncio.run(awaited())


Client = type[Blocking | Awaiting]
BOTH = pytest.mark.parametrize("client", [Blocking, Awaiting])


def _body(server: ScriptedServer) -> Mapping[str, Any]:
    (request,) = server.requests
    body: Mapping[str, Any] = json.loads(request.body or b"")
    return body


@BOTH
@pytest.mark.parametrize(("value", "stored"), STORED)
def test_a_value_in_metadata_is_stored_as_what_it_means(
    client: Client, value: object, stored: object
) -> None:
    used = client()
    used.run(_with(metadata={"a": value}))
    assert _body(used.server)["metadata"] == {"a": stored}


@BOTH
@pytest.mark.parametrize(("value", "message"), REFUSED, ids=lambda value: type(value).__name__)
def test_a_value_that_has_no_json_form_is_refused_with_its_place(
    client: Client, value: object, message: str
) -> None:
    used = client()
    with pytest.raises((ConfigError, TypeError), match=message):
        used.run(_with(metadata={"a": value}))
    assert not used.server.requests


@BOTH
@pytest.mark.parametrize(("name", "value", "sent", "stored"), FIELDS)
def test_a_field_is_stored_as_what_it_means(
    client: Client, name: str, value: object, sent: str, stored: object
) -> None:
    used = client()
    used.run(_with(**{name: value}))
    assert _body(used.server) == {"content": "x", sent: stored}


@BOTH
@pytest.mark.parametrize("name", UNSET)
def test_none_is_the_same_as_leaving_it_out(client: Client, name: str) -> None:
    used = client()
    used.run(_with(**{name: None}))
    assert _body(used.server) == {"content": "x"}


@BOTH
@pytest.mark.parametrize(("name", "value", "message"), WRONG_FIELDS)
def test_a_wrong_field_is_refused_by_its_name(
    client: Client, name: str, value: object, message: str
) -> None:
    used = client()
    with pytest.raises((ConfigError, TypeError), match=message):
        used.run(_with(**{name: value}))
    assert not used.server.requests


@BOTH
@pytest.mark.parametrize("call", BY_ID)
@pytest.mark.parametrize(("value", "message"), WRONG_IDS)
def test_a_wrong_id_is_refused_by_every_method_that_takes_one(
    client: Client, call: Call, value: object, message: str
) -> None:
    used = client()
    with pytest.raises((ConfigError, TypeError), match=message):
        used.run(call, value)
    assert not used.server.requests


@BOTH
@pytest.mark.parametrize("call", BY_ID)
def test_a_uuid_is_an_id(client: Client, call: Call) -> None:
    used = client()
    used.run(call, NAMED)
    assert used.server.requests[0].url.endswith(f"/memories/{NAMED}")


@BOTH
@pytest.mark.parametrize(("call", "value", "message"), WRONG_CALLS)
def test_a_wrong_argument_is_refused_by_its_name(
    client: Client, call: Call, value: object, message: str
) -> None:
    used = client()
    with pytest.raises((ConfigError, TypeError), match=message):
        used.run(call, value)
    assert not used.server.requests


@BOTH
@pytest.mark.parametrize(("arguments", "message"), WRONG_LISTS)
def test_a_wrong_argument_of_a_list_is_refused_by_its_name(
    client: Client, arguments: dict[str, Any], message: str
) -> None:
    used = client()
    with pytest.raises((ConfigError, TypeError), match=message):
        used.list(**arguments)
    assert not used.server.requests


@pytest.mark.parametrize("key", [b"secret", 7, "half \ud83d"])
def test_a_function_that_returns_no_key_is_refused_and_what_it_returned_not_shown(
    key: Any,
) -> None:
    spine = Spine("http://a", namespace="acme", api_key=lambda: key, transport=ScriptedServer())
    with pytest.raises((ConfigError, TypeError), match="api_key") as refused:
        spine.memories.get("t-1")
    assert str(key) not in str(refused.value)


@pytest.mark.parametrize("kind", [Spine, AsyncSpine])
@pytest.mark.parametrize(("options", "message"), WRONG_CLIENTS)
def test_a_wrong_option_of_a_client_is_refused_by_its_name(
    kind: type[Spine | AsyncSpine], options: dict[str, Any], message: str
) -> None:
    with pytest.raises((ConfigError, TypeError), match=message):
        kind(**{"url": "http://a", **options})


@pytest.mark.parametrize("kind", [Spine, AsyncSpine])
@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda spine: spine.ns(None), "namespace must be a text"),
        (lambda spine: spine.ns(""), "namespace is empty"),
        (lambda spine: spine.with_options(timeout="3"), "timeout must be a number"),
        (lambda spine: spine.with_options(urls=[]), "url names no node"),
        (lambda spine: spine.with_options(session=7), "session must be a text"),
        (lambda spine: spine.merge_session(None), "session must be a text, not None"),
        (lambda spine: spine.session(b"x").__enter__(), "session must be a text"),
    ],
)
def test_a_wrong_option_of_a_view_or_session_is_refused_by_its_name(
    kind: type[Spine | AsyncSpine], use: Callable[[Any], object], message: str
) -> None:
    with pytest.raises((ConfigError, TypeError), match=message):
        use(kind("http://a"))


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda batch: batch.create(b"raw"), "content must be a text, not bytes"),
        (lambda batch: batch.create("x", metadata={"a": NAN}), r"metadata\.a is NaN"),
        (lambda batch: batch.put(None, "x"), "memory must be a text or a UUID, not None"),
        (lambda batch: batch.get(7), "memory_id must be a text or a UUID, not int"),
        (lambda batch: batch.delete(""), "memory_id is empty"),
    ],
)
def test_a_wrong_argument_of_a_batch_is_refused_where_it_is_given(
    use: Callable[[Any], object], message: str
) -> None:
    used = Blocking()
    with (
        pytest.raises((ConfigError, TypeError), match=message),
        used.spine.memories.batch() as batch,
    ):
        use(batch)
    assert not used.server.requests
