"""From a filter to SQL: which index picks the rows, and what SQL can already tell of each.

SQL decides only what it decides exactly as `matches` does; the rest of the filter is left to
`matches` on the record itself (`complete` false). All strings and numbers are bound, never pasted.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from spine_core.records.filters import Ago, Filter, Instant, Test, conjuncts, point_in_time
from spine_node.ports import ListOrder
from spine_node.search.schema import SERIAL_BITS
from spine_node.search.terms import SEPARATOR, Column

ALTERNATIVES_MAX: Final = 32  # texts of one test that are looked up; rows are examined for more

_NAMES: Final[Mapping[str, Column]] = {
    "agent_id": "agent",
    "user_id": "user",
    "thread_id": "thread",
}
_TIMES: Final = {
    "created_at": f"(row.number >> {SERIAL_BITS})",
    "updated_at": "substr(row.version, 2, 6)",  # its bytes in the timestamp of the version
    "expires_at": "nullif(row.expires, 0)",
}
_SIGNS: Final = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<=", "$eq": "IS", "$ne": "IS NOT"}
AFTER_ANY_ID: Final = "\x7f"  # sorts behind every id: they are printable ASCII


@dataclass(frozen=True, slots=True)
class Sql:
    """An expression and the values it binds."""

    text: str
    values: tuple[object, ...] = ()


Term = tuple[Column, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """Rows of one namespace that one index gives, in the order of that index."""

    index: Literal["row_id", "row_created", "term"]
    where: Sql = Sql("1")
    terms: tuple[tuple[Term, ...], ...] = ()  # of the index `term`: one of each group
    sorted_by: Literal["created", "id"] = "created"


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
    alive = Sql("(row.expires = 0 OR row.expires > ?)", (now_ms,))
    by_id = Pick(index="row_id", sorted_by="id")
    plain = by_id if order == "id" else Pick(index="row_created")
    low_ms, high_ms = _created_bounds(tests, now_ms)
    return QueryPlan(
        order=order,
        best=next(_picks(tests), plain),
        plain=plain,
        fits=_joined(" AND ", [alive, *known]),
        complete=len(known) == len(parts),
        low_ms=low_ms,
        high_ms=high_ms,
    )


def _picks(tests: list[Test]) -> Iterator[Pick]:
    """Yield the indexes that serve, the most selective first."""
    for test in tests:
        if test.field == "id" and test.op in ("$eq", "$in", "$prefix"):
            yield Pick(index="row_id", where=_fits_id(test), sorted_by="id")
    groups = [group for test in tests for group in _groups(test)]
    if groups:
        yield Pick(index="term", terms=tuple(groups))


def _groups(test: Test) -> Iterator[tuple[Term, ...]]:
    """Yield groups of terms: a row that passes the test has at least one of each."""
    column = "tags" if test.field == "tags" else _NAMES.get(test.field)
    if column is None:
        return
    match test.op, test.operand:
        case "$eq", str(text):
            yield ((column, text),)
        case "$all", tuple(texts):
            yield from (((column, text),) for text in texts[:ALTERNATIVES_MAX])
        case (("$in" | "$any"), tuple(texts)) if 0 < len(texts) <= ALTERNATIVES_MAX:
            yield tuple((column, text) for text in texts)


def _joined(by: str, parts: list[Sql]) -> Sql:
    texts = by.join(part.text for part in parts)
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
        return _fits_time(test, now_ms)
    translate = _BY_FIELD.get(test.field)
    return translate(test) if translate else None


def _fits_name(column: str, test: Test) -> Sql:
    match test.op, test.operand:
        case "$exists", bool(wanted):
            return Sql(f"{column} IS {'NOT ' if wanted else ''}NULL")
        case "$in", tuple(texts):
            return Sql(f"coalesce({column} IN ({_marks(texts)}), 0)", texts)
        case "$nin", tuple(texts):
            return Sql(f"NOT coalesce({column} IN ({_marks(texts)}), 0)", texts)
        case op, text:
            return Sql(f"{column} {_SIGNS[op]} ?", (text,))


def _marks(values: tuple[object, ...]) -> str:
    return ",".join("?" * len(values))


def _fits_time(test: Test, now_ms: int) -> Sql:
    column = _TIMES[test.field]
    if test.op == "$exists":
        return Sql(f"{column} IS {'NOT ' if test.operand else ''}NULL")
    assert isinstance(test.operand, Instant | Ago), "the grammar admits times only"
    ms = point_in_time(test.operand, now_ms)
    value = _bytes_of(ms) if test.field == "updated_at" else ms
    return Sql(f"coalesce({column} {_SIGNS[test.op]} ?, 0)", (value,))


def _bytes_of(ms: int) -> bytes:
    """Return what stands among the six bytes of times as a time does among times."""
    return b"" if ms < 0 else ms.to_bytes(6, "big") if ms < 1 << 48 else b"\xff" * 7


def _fits_id(test: Test) -> Sql:
    match test.op, test.operand:
        case "$exists", wanted:
            return Sql("1" if wanted else "0")
        case "$prefix", str(prefix):
            return Sql("(row.id >= ? AND row.id < ?)", (prefix, prefix + AFTER_ANY_ID))
        case ("$in" | "$nin") as op, tuple(texts):
            sign = "IN" if op == "$in" else "NOT IN"
            return Sql(f"row.id {sign} ({_marks(texts)})", texts)
        case op, text:
            return Sql(f"row.id {_SIGNS[op]} ?", (text,))


def _fits_tags(test: Test) -> Sql:
    match test.op, test.operand:
        case "$exists", wanted:
            return Sql(f"row.tags {'<>' if wanted else '='} ?", (SEPARATOR,))
        case "$any", tuple(texts):
            held = [_holds(text) for text in texts]
            return _joined(" OR ", [Sql("0"), *held])
        case "$all", tuple(texts):
            # A memory without tags matches not even an empty list.
            held = [_holds(text) for text in texts]
            return _joined(" AND ", [Sql("row.tags <> ?", (SEPARATOR,)), *held])
        case op, text:
            held_one = _holds(text)
            return Sql(f"{'NOT ' if op == '$ne' else ''}{held_one.text}", held_one.values)


def _holds(tag: object) -> Sql:
    if SEPARATOR in str(tag):
        return Sql("0")  # it would be found across two tags
    return Sql("(instr(row.tags, ?) > 0)", (f"{SEPARATOR}{tag}{SEPARATOR}",))


def _fits_value(test: Test) -> Sql:
    return Sql(f"coalesce(row.{test.field} {_SIGNS[test.op]} ?, 0)", (test.operand,))


_BY_FIELD: Final[Mapping[str, Callable[[Test], Sql]]] = {
    "id": _fits_id,
    "tags": _fits_tags,
    "importance": _fits_value,
    "pinned": _fits_value,
}
