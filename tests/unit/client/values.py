"""Values that callers give: what is stored of them, and what is refused."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from memory_spine.models import Embedding

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
