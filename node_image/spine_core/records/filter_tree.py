"""A parsed filter: a frozen tree of tests, and what it says about one memory. Pure.

A memory is the mapping a client sees, except that `created_at`, `updated_at` and `expires_at` are
milliseconds since 1970, or None. A missing field matches only `$ne`, `$nin` and `$exists: false`;
values of different JSON types are never equal and never ordered. Source: the filter grammar, api.md.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MISSING: Final = object()
_SETS: Final = frozenset({"tags", "derived_from"})


@dataclass(frozen=True, slots=True)
class Instant:
    """A fixed point in time, milliseconds since 1970."""

    ms: int


@dataclass(frozen=True, slots=True)
class Ago:
    """A point in time that moves with the clock: so many seconds before now."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison of one field. `path` leads into `metadata` and is empty elsewhere.

    The operand is a JSON value, a tuple of them (`$in $nin $any $all`), or a point in time.
    """

    __test__ = False  # pytest collects classes by name

    field: str
    path: tuple[str, ...]
    op: str
    operand: object


@dataclass(frozen=True, slots=True)
class And:
    """Every part matches; without parts everything does."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part matches."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not match."""

    part: "Filter"


Filter = And | Or | Not | Test
EMPTY: Final[Filter] = And(())


def matches(where: Filter, memory: Mapping[str, object], now_ms: int) -> bool:
    """Tell whether a memory matches; `now_ms` is what relative times are counted from."""
    match where:
        case And(parts):
            return all(matches(part, memory, now_ms) for part in parts)
        case Or(parts):
            return any(matches(part, memory, now_ms) for part in parts)
        case Not(part):
            return not matches(part, memory, now_ms)
        case Test():
            return _holds(where, _value_of(where, memory), now_ms)


def conjuncts(where: Filter) -> tuple[Filter, ...]:
    """Return the parts that must all match, nested conjunctions opened."""
    if isinstance(where, And):
        return tuple(inner for part in where.parts for inner in conjuncts(part))
    return (where,)


def demanded_tags(where: Filter) -> frozenset[str]:
    """Return the tags that every matching memory carries, as far as the filter says so."""
    match where:
        case And(parts):
            return frozenset[str]().union(*map(demanded_tags, parts))
        case Or(parts):
            return frozenset.intersection(*map(demanded_tags, parts))
        case Test(field="tags", op="$eq", operand=str(tag)):
            return frozenset({tag})
        case Test(field="tags", op="$all", operand=tuple(tags)):
            return frozenset(str(tag) for tag in tags)
        case _:
            return frozenset()


def canonical(where: Filter) -> bytes:
    """Return the filter as JSON in one spelling, which parses to a filter of the same meaning.

    The order of siblings and the ways to write `$eq` or `$and` leave no trace; an explicit `$and`
    stands for siblings, so the text may nest twice as deep as what the caller sent.
    """
    return _text(_plain(where)).encode()


def point_in_time(operand: Instant | Ago, now_ms: int) -> int:
    """Return the milliseconds since 1970 that a time operand means at `now_ms`."""
    return operand.ms if isinstance(operand, Instant) else now_ms - operand.seconds * 1000


def _value_of(test: Test, memory: Mapping[str, object]) -> object:
    value = memory.get(test.field)
    for key in test.path:
        if not isinstance(value, Mapping) or key not in value:
            return _MISSING
        value = value[key]
    if test.path:
        return value  # null is a value of metadata
    if value is None or (test.field in _SETS and not value):
        return _MISSING
    return value


def _holds(test: Test, value: object, now_ms: int) -> bool:
    if value is _MISSING:
        return test.op in ("$ne", "$nin") or (test.op == "$exists" and test.operand is False)
    if test.op == "$exists":
        return test.operand is True
    if test.field in _SETS:
        assert isinstance(value, Iterable)
        return _holds_set(test, frozenset(value))
    operand = test.operand
    if isinstance(operand, Instant | Ago):
        operand = point_in_time(operand, now_ms)
    return _compare(test.op, value, operand)


def _holds_set(test: Test, members: frozenset[object]) -> bool:
    match test.op, test.operand:
        case "$any", tuple(wanted):
            return not members.isdisjoint(wanted)
        case "$all", tuple(wanted):
            return members.issuperset(wanted)
        case "$ne", unwanted:
            return unwanted not in members
        case _, wanted:
            return wanted in members


def _compare(op: str, value: object, operand: object) -> bool:
    match op, operand:
        case "$eq", _:
            return _same(value, operand)
        case "$ne", _:
            return not _same(value, operand)
        case "$in", tuple(choices):
            return any(_same(value, choice) for choice in choices)
        case "$nin", tuple(choices):
            return not any(_same(value, choice) for choice in choices)
        case "$prefix", str(prefix):
            return isinstance(value, str) and value.startswith(prefix)
        case _:
            return _ordered(op, value, operand)


def _ordered(op: str, value: object, operand: object) -> bool:
    if isinstance(value, str) and isinstance(operand, str):
        sign = (value > operand) - (value < operand)
    elif _is_number(value) and _is_number(operand):
        sign = (value > operand) - (value < operand)  # type: ignore[operator]
    else:
        return False
    return {"$gt": sign > 0, "$gte": sign >= 0, "$lt": sign < 0, "$lte": sign <= 0}[op]


def _same(left: object, right: object) -> bool:
    """Deep equality of JSON values, in which true is not 1."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if _is_number(left) and _is_number(right):
        return left == right
    return type(left) is type(right) and left == right


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(where: Filter) -> dict[str, object]:
    match where:
        case And(()):
            return {}
        case And(parts):
            return {"$and": sorted(map(_plain, parts), key=_text)}
        case Or(parts):
            return {"$or": sorted(map(_plain, parts), key=_text)}
        case Not(part):
            return {"$not": _plain(part)}
        case Test(field, path, op, operand):
            return {".".join((field, *path)): {op: _plain_operand(operand)}}


def _plain_operand(operand: object) -> object:
    match operand:
        case Instant(ms):
            return (EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")
        case Ago(seconds):
            return f"-{seconds}s"
        case _:
            return operand


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
