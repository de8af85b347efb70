"""From a filter to SQL: which index picks the rows, and what SQL can already tell of each.

SQL decides only what it decides exactly as `matches` does; the rest of the filter is left to
`matches` on the record itself (`complete` false). All strings and numbers are bound, never pasted.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from spine_core.records.filters import Ago, Filter, Instant, Test, conjuncts, point_in_time
from spine_node.ports import ListOrder

_TERM: Final = "coalesce((SELECT number FROM term WHERE text = ?), 0)"  # numbers begin at 1
_LISTED: Final = "SELECT value FROM json_each(?)"
_TERMS: Final = f"SELECT number FROM term WHERE text IN ({_LISTED})"  # noqa: S608 - our own names
_NAMES: Final = {
    "thread_id": "thread",
    "user_id": "user",
    "agent_id": "agent",
}  # most telling first
_TIMES: Final = {"created_at": "created", "updated_at": "updated", "expires_at": "expires"}
_SIGNS: Final = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<=", "$eq": "IS", "$ne": "IS NOT"}
AFTER_ANY_ID: Final = "\x7f"  # sorts behind every id: they are printable ASCII


@dataclass(frozen=True, slots=True)
class Sql:
    """An expression and the values it binds."""

    text: str
    values: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Pick:
    """Rows of one namespace that one index gives, in the order of that index."""

    index: str
    table: Literal["row", "tag"]
    where: Sql
    sorted_by: Literal["created", "id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPlan:
    """How to walk a namespace for one filter."""

    order: ListOrder
    best: Pick
    plain: Pick  # all rows in the order asked for, if `best` would have to sort too many
    fits: Sql
    complete: bool  # `fits` decides the whole filter
    low_ms: int | None  # bounds of created_at, both included
    high_ms: int | None


def plan_of(where: Filter, order: ListOrder, now_ms: int) -> QueryPlan:
    """Choose the index and translate what can be translated."""
    parts = conjuncts(where)
    tests = [part for part in parts if isinstance(part, Test)]
    known = [sql for sql in (_fits(test, now_ms) for test in tests) if sql is not None]
    alive = Sql("coalesce(row.expires > ?, 1)", (now_ms,))
    sort: Literal["created", "id"] = "id" if order == "id" else "created"
    plain = Pick(f"row_{sort}", "row", Sql("1"), sort)
    low_ms, high_ms = _created_bounds(tests, now_ms)
    return QueryPlan(
        order=order,
        best=next(_picks(tests), plain),
        plain=plain,
        fits=_all_of([alive, *known]),
        complete=len(known) == len(parts),
        low_ms=low_ms,
        high_ms=high_ms,
    )


def _picks(tests: list[Test]) -> Iterator[Pick]:
    """Yield the indexes that serve, the most selective first."""
    for test in tests:
        if test.field == "id" and test.op in ("$eq", "$in", "$prefix"):
            yield Pick("row_id", "row", _fits_id(test), "id")
    for name, column in _NAMES.items():
        for test in tests:
            if test.field == name and test.op == "$eq":
                where = Sql(f"row.{column} = {_TERM}", (test.operand,))
                yield Pick(f"row_{column}", "row", where, "created")
    for test in tests:
        if test.field == "tags" and test.op in ("$eq", "$all") and test.operand:
            first = test.operand[0] if isinstance(test.operand, tuple) else test.operand
            yield Pick("tag", "tag", Sql(f"tag.term = {_TERM}", (first,)), "created")


def _all_of(parts: list[Sql]) -> Sql:
    texts = " AND ".join(part.text for part in parts)
    return Sql(f"({texts})", tuple(value for part in parts for value in part.values))


def _created_bounds(tests: list[Test], now_ms: int) -> tuple[int | None, int | None]:
    lows: list[int] = []
    highs: list[int] = []
    for test in tests:
        if test.field != "created_at" or not isinstance(test.operand, Instant | Ago):
            continue
        ms = point_in_time(test.operand, now_ms)
        if test.op in ("$gt", "$gte", "$eq"):
            lows.append(ms + (test.op == "$gt"))
        if test.op in ("$lt", "$lte", "$eq"):
            highs.append(ms - (test.op == "$lt"))
    return max(lows, default=None), min(highs, default=None)


def _fits(test: Test, now_ms: int) -> Sql | None:
    """Translate one test, None when SQL cannot decide it."""
    if test.field in _NAMES:
        return _fits_name(f"row.{_NAMES[test.field]}", test)
    if test.field in _TIMES:
        return _fits_time(f"row.{_TIMES[test.field]}", test, now_ms)
    translate = _BY_FIELD.get(test.field)
    return translate(test) if translate else None


def _fits_name(column: str, test: Test) -> Sql:
    match test.op, test.operand:
        case "$exists", bool(wanted):
            return Sql(f"{column} IS {'NOT ' if wanted else ''}NULL")
        case "$in", tuple(texts):
            return Sql(f"coalesce({column} IN ({_TERMS}), 0)", (json.dumps(texts),))
        case "$nin", tuple(texts):
            return Sql(f"NOT coalesce({column} IN ({_TERMS}), 0)", (json.dumps(texts),))
        case op, text:
            return Sql(f"{column} {_SIGNS[op]} {_TERM}", (text,))


def _fits_time(column: str, test: Test, now_ms: int) -> Sql:
    if test.op == "$exists":
        return Sql(f"{column} IS {'NOT ' if test.operand else ''}NULL")
    assert isinstance(test.operand, Instant | Ago), "the grammar admits times only"
    ms = point_in_time(test.operand, now_ms)
    return Sql(f"coalesce({column} {_SIGNS[test.op]} ?, 0)", (ms,))


def _fits_id(test: Test) -> Sql:
    match test.op, test.operand:
        case "$exists", wanted:
            return Sql("1" if wanted else "0")
        case "$prefix", str(prefix):
            return Sql("(row.id >= ? AND row.id < ?)", (prefix, prefix + AFTER_ANY_ID))
        case ("$in" | "$nin") as op, tuple(texts):
            sign = "IN" if op == "$in" else "NOT IN"
            return Sql(f"row.id {sign} ({_LISTED})", (json.dumps(texts),))
        case op, text:
            return Sql(f"row.id {_SIGNS[op]} ?", (text,))


def _fits_tags(test: Test) -> Sql:
    held = f"(SELECT count(*) FROM ({_TERMS}) WHERE instr(row.tags, ',' || number || ',') > 0)"  # noqa: S608 - our own names
    match test.op, test.operand:
        case "$exists", wanted:
            return Sql(f"row.tags {'<>' if wanted else '='} ','")
        case "$any", tuple(texts):
            return Sql(f"{held} > 0", (json.dumps(texts),))
        case "$all", tuple(texts):
            # A memory without tags matches not even an empty list.
            return Sql(f"(row.tags <> ',' AND {held} = ?)", (json.dumps(texts), len(set(texts))))
        case op, text:
            sign = "=" if op == "$ne" else ">"
            return Sql(f"instr(row.tags, ',' || {_TERM} || ',') {sign} 0", (text,))


def _fits_value(test: Test) -> Sql:
    return Sql(f"coalesce(row.{test.field} {_SIGNS[test.op]} ?, 0)", (test.operand,))


_BY_FIELD: Final[Mapping[str, Callable[[Test], Sql]]] = {
    "id": _fits_id,
    "tags": _fits_tags,
    "importance": _fits_value,
    "pinned": _fits_value,
}
