"""Every argument of every public method is stored as what it means, or refused by its name.

Nothing else: no error of the encoder, no value that becomes another one on the way.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec
import pytest

from memory_spine import AsyncSpine, ConfigError, Spine
from memory_spine.models import Embedding
from unit.client.scripted_server import MEMORY, AsyncScriptedServer, ScriptedServer, ok

SURROGATE = "half \ud83d"
NAMED = UUID("12345678-1234-5678-1234-567812345678")
NAN = float("nan")
CYCLE: dict[str, Any] = {}
CYCLE["again"] = [CYCLE]
PAGE = {"items": [], "coverage": {"slots": 1, "answered": 1}}


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@dataclass
class Point:
    """A dataclass, as an agent may have it."""

    x: float
    seen: list[datetime] = field(default_factory=list)


class Task(msgspec.Struct):
    """A struct of msgspec."""

    name: str
    steps: tuple[int, ...] = ()


class Modelled:
    """Whatever has `model_dump`, as pydantic's models do."""

    def __init__(self, **fields: object) -> None:
        self._fields = fields

    def model_dump(self) -> dict[str, object]:
        return self._fields


class Array:
    """Whatever has `tolist`, as numpy's arrays and scalars do."""

    def __init__(self, items: object) -> None:
        self._items = items

    def tolist(self) -> object:
        return self._items

    def __iter__(self) -> Any:
        return iter(self._items)  # type: ignore[call-overload]


class Colour(Enum):
    """An enum whose values are texts."""

    RED = "red"


class Word(StrEnum):
    """Texts with names."""

    TASK = "task"


STORED: list[tuple[object, object]] = [  # a value in metadata, and what is stored
    (None, None),
    (True, True),
    (-(2**63), -(2**63)),
    (2**63 - 1, 2**63 - 1),
    (1.5, 1.5),
    ("naïve 🦉", "naïve 🦉"),
    ((1, (2,)), [1, [2]]),
    ({"b", "a"}, ["a", "b"]),
    (MappingProxyType({"a": 1}), {"a": 1}),
    ({Word.TASK: Word.TASK}, {"task": "task"}),
    (Colour.RED, "red"),
    (NAMED, str(NAMED)),
    (Decimal("1.10"), "1.10"),
    (datetime(2026, 1, 2, 3, tzinfo=UTC), "2026-01-02T03:00:00+00:00"),
    (date(2026, 1, 2), "2026-01-02"),
    (Path("notes/today.md"), "notes/today.md"),
    (Point(1.0, [datetime(2026, 1, 2, tzinfo=UTC)]), {"x": 1.0, "seen": ["2026-01-02T00:00:00+00:00"]}),
    (Task("t", (1, 2)), {"name": "t", "steps": [1, 2]}),
    (Modelled(at=date(2026, 1, 2), tags=("a",)), {"at": "2026-01-02", "tags": ["a"]}),
    (Array([1.0, 2.0]), [1.0, 2.0]),
    (_nested(15), _nested(15)),
]  # fmt: skip

REFUSED: list[tuple[object, str]] = [  # a value in metadata at `a`, and what the message says
    (b"raw", r"metadata\.a is bytes"),
    ({"b": bytearray(b"raw")}, r"metadata\.a\.b is bytearray"),
    ({1: "one"}, r"metadata\.a has the key 1"),
    ({b"k": 1}, r"metadata\.a has the key b'k'"),
    (SURROGATE, r"metadata\.a is not UTF-8"),
    ({SURROGATE: 1}, r"a key of metadata\.a is not UTF-8"),
    (Path("half\udcff"), r"metadata\.a is not UTF-8"),
    ([1, NAN], r"metadata\.a\[1\] is NaN"),
    (Point(NAN), r"metadata\.a\.x is NaN"),
    (Modelled(x=[float("inf")]), r"metadata\.a\.x\[0\] is NaN or infinite"),
    (Array([NAN]), r"metadata\.a\[0\] is NaN"),
    (2**63, r"metadata\.a is an integer beyond 64 bits"),
    (-(2**63) - 1, r"metadata\.a is an integer beyond 64 bits"),
    (CYCLE, r"contains itself"),
    (_nested(10_000), r"nested deeper than"),
    (timedelta(1), r"metadata\.a is timedelta"),
    (object(), r"metadata\.a is object"),
    (Point, r"metadata\.a is type"),
    (1j, r"metadata\.a is complex"),
    (lambda: 1, r"metadata\.a is function"),
]

Call = Callable[[Any, Any], Any]  # memories, value


def _with(**fields: Any) -> Call:
    return lambda memories, _: memories.create("x", **fields)


# How a field is given, and what the body holds of it.
FIELDS: list[tuple[str, object, str, object]] = [
    ("ttl", 60, "ttl_seconds", 60),
    ("ttl", timedelta(minutes=1, milliseconds=1), "ttl_seconds", 61),
    ("ttl", 59.5, "ttl_seconds", 60),
    ("agent_id", NAMED, "agent_id", str(NAMED)),
    ("user_id", Word.TASK, "user_id", "task"),
    ("importance", 1, "importance", 1),
    ("importance", Decimal("0.25"), "importance", 0.25),
    ("tags", ("a", Word.TASK), "tags", ["a", "task"]),
    ("derived_from", {NAMED}, "derived_from", [str(NAMED)]),
    ("embedding", Embedding(vector=(1.0, 2.0), model="m"), "embedding", {"vector": [1.0, 2.0], "model": "m"}),
    ("embedding", {"vector": Array([1, 2.5])}, "embedding", {"vector": [1.0, 2.5]}),
    ("metadata", Point(2.0), "metadata", {"x": 2.0, "seen": []}),
    ("partition_by", NAMED, "partition_by", str(NAMED)),
]  # fmt: skip

UNSET = ("metadata", "tags", "agent_id", "user_id", "thread_id", "importance", "pinned", "ttl",
         "embedding", "derived_from", "partition_by")  # fmt: skip

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
