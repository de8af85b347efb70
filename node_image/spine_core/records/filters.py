"""The one filter grammar: JSON in, a frozen tree out, or an error that names the place. Pure.

    filter := { field: test, ... , "$and": [filter+], "$or": [filter+], "$not": filter }
    test   := scalar | { op: operand, ... }

Siblings are ANDed and a scalar means `$eq`. Source: api.md, "Filter grammar".
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final, NoReturn

from spine_core.errors import ProblemError
from spine_core.records.filter_tree import (
    EMPTY,
    EPOCH,
    Ago,
    And,
    Filter,
    Instant,
    Not,
    Or,
    Test,
    canonical,
    conjuncts,
    demanded_tags,
    matches,
    point_in_time,
)

__all__ = [
    "EMPTY", "Ago", "And", "Filter", "Instant", "Not", "Or", "Test",
    "canonical", "conjuncts", "demanded_tags", "matches", "parse_filter", "point_in_time",
]  # fmt: skip

DEPTH_MAX: Final = 8  # filters inside filters, the outermost counted
TESTS_MAX: Final = 64  # of one filter: each costs a comparison per row examined
OPERANDS_MAX: Final = 200  # of one list
AGO_S_MAX: Final = 999_999_999  # 31 years; `canonical` writes seconds in the same nine digits

_ORDER: Final = frozenset({"$gt", "$gte", "$lt", "$lte"})
_EQUAL: Final = frozenset({"$eq", "$ne"})
_RELATIVE: Final = re.compile(r"-([0-9]{1,9})([smhd])")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_LISTS: Final = frozenset({"$in", "$nin", "$any", "$all"})


class _Kind(Enum):
    """The operators that a type of field knows."""

    STRING = _EQUAL | {"$in", "$nin", "$exists"}
    ID = _EQUAL | {"$in", "$nin", "$exists", "$prefix"}
    SET = _EQUAL | {"$any", "$all", "$exists"}
    NUMBER = _EQUAL | _ORDER
    BOOL = _EQUAL
    TIME = _ORDER | {"$eq", "$exists"}
    JSON = _EQUAL | _ORDER | {"$in", "$nin", "$exists", "$prefix"}


_FIELDS: Final = {
    "agent_id": _Kind.STRING,
    "user_id": _Kind.STRING,
    "thread_id": _Kind.STRING,
    "writer": _Kind.STRING,
    "id": _Kind.ID,
    "tags": _Kind.SET,
    "derived_from": _Kind.SET,
    "importance": _Kind.NUMBER,
    "pinned": _Kind.BOOL,
    "created_at": _Kind.TIME,
    "updated_at": _Kind.TIME,
    "expires_at": _Kind.TIME,
}


def parse_filter(value: object, *, depth_max: int = DEPTH_MAX) -> Filter:
    """Parse a decoded JSON object. What `canonical` wrote parses with `2 * DEPTH_MAX`.

    Raises:
        ProblemError: `invalid-filter`, with the path of the first mistake.
    """
    return _Parser(depth_max).filter(value, "", 1)


@dataclass(slots=True)
class _Parser:
    """One parse: it counts the tests."""

    depth_max: int
    tests: int = field(default=0)

    def filter(self, value: object, path: str, depth: int) -> Filter:
        if not isinstance(value, Mapping):
            _reject_unsupported(path, "a filter is an object")
        if depth > self.depth_max:
            _reject_unsupported(path, f"nested deeper than {self.depth_max}")
        parts: list[Filter] = []
        for key, inner in value.items():
            here = f"{path}.{key}" if path else str(key)
            match key:
                case "$and":
                    parts.append(And(self._filters(inner, here, depth)))
                case "$or":
                    parts.append(Or(self._filters(inner, here, depth)))
                case "$not":
                    parts.append(Not(self.filter(inner, here, depth + 1)))
                case _:
                    parts.extend(self._field(key, inner, here))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _filters(self, value: object, path: str, depth: int) -> tuple[Filter, ...]:
        items = _list(value, path)
        if not items:
            _reject_unsupported(path, "needs at least one filter")
        return tuple(
            self.filter(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(items)
        )

    def _field(self, name: str, value: object, path: str) -> list[Filter]:
        kind, root, keys = _field_named(name, path)
        if isinstance(value, list):
            _reject_unsupported(path, "compare with a list through an operator")
        if not isinstance(value, Mapping):
            value = {"$eq": value}
        elif not value:
            _reject_unsupported(path, "needs at least one operator")
        tests: list[Filter] = []
        for op, operand in value.items():
            here = f"{path}.{op}"
            if op not in kind.value:
                _reject_unsupported(here, f"not an operator of {name}")
            self.tests += 1
            if self.tests > TESTS_MAX:
                _reject_unsupported(here, f"more than {TESTS_MAX} tests")
            tests.append(Test(root, keys, op, _operand(kind, op, operand, here)))
        return tests


def _field_named(name: str, path: str) -> tuple[_Kind, str, tuple[str, ...]]:
    root, *keys = name.split(".")
    if root == "metadata" and keys and all(keys):
        return _Kind.JSON, root, tuple(keys)
    kind = _FIELDS.get(name)
    if kind is None:
        _reject_unsupported(path, "not a field or operator")
    return kind, name, ()


def _operand(kind: _Kind, op: str, value: object, path: str) -> object:
    if op == "$exists":
        return _bool(value, path)
    if op == "$prefix":
        return _string(value, path)
    if op in _LISTS:
        one = _json if kind is _Kind.JSON else _string
        return tuple(one(item, f"{path}[{index}]") for index, item in enumerate(_list(value, path)))
    if kind is _Kind.JSON and op in _ORDER:
        return _orderable(value, path)
    return _SCALARS[kind](value, path)


def _list(value: object, path: str) -> list[object]:
    if not isinstance(value, list):
        _reject_unsupported(path, "a list is needed")
    if len(value) > OPERANDS_MAX:
        _reject_unsupported(path, f"more than {OPERANDS_MAX} operands")
    return value


def _string(value: object, path: str) -> str:
    if not isinstance(value, str):
        _reject_unsupported(path, "a string is needed")
    return value


def _bool(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        _reject_unsupported(path, "true or false is needed")
    return value


def _number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        _reject_unsupported(path, "a number is needed")
    return value


def _orderable(value: object, path: str) -> object:
    return value if isinstance(value, str) else _number(value, path)


def _json(value: object, _path: str) -> object:
    return value


def _time(value: object, path: str) -> Instant | Ago:
    text = _string(value, path)
    if relative := _RELATIVE.fullmatch(text):
        seconds = int(relative[1]) * _UNITS_S[relative[2]]
        if seconds > AGO_S_MAX:
            _reject_unsupported(path, f"longer ago than {AGO_S_MAX} s")
        return Ago(seconds)
    if not _RFC_3339.fullmatch(text):
        _reject_unsupported(path, 'a time is RFC 3339 or like "-7d"')
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        _reject_unsupported(path, "no such time")
    return Instant((moment - EPOCH) // timedelta(milliseconds=1))


_SCALARS: Final[Mapping[_Kind, Callable[[object, str], object]]] = {
    _Kind.STRING: _string,
    _Kind.ID: _string,
    _Kind.SET: _string,
    _Kind.NUMBER: _number,
    _Kind.BOOL: _bool,
    _Kind.TIME: _time,
    _Kind.JSON: _json,
}


def _reject_unsupported(path: str, message: str) -> NoReturn:
    detail = f"{path}: {message}" if path else message
    raise ProblemError("invalid-filter", detail, errors=((path, message),))
