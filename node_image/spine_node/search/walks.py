"""One walk: the rows of one namespace in the order of a list, read from SQLite one by one.

The numbers of rows are in the order of created_at; what was created in one millisecond is put in
the order of ids here.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import dropwhile, groupby
from operator import itemgetter
from typing import Final, NamedTuple

from spine_core.records.versions import Version
from spine_node.search.messages import Position, comes_before, position_of
from spine_node.search.plan import Pick, QueryPlan, Sql
from spine_node.search.schema import SERIAL_BITS
from spine_node.search.terms import term_of

SORTED_MAX: Final = 20_000  # rows that one walk may sort because its index has another order

NUMBER_MAX: Final = 2**63 - 1  # of an integer of SQLite

Found = tuple[int, str, int, Version, int]  # created_at in ms, id, slot, version, fits
_created, _id = itemgetter(0), itemgetter(1)


class Row(NamedTuple):
    """One examined row."""

    position: Position
    slot: int
    version: Version
    fits: bool  # as far as SQL can tell


def walk(
    connection: sqlite3.Connection, plan: QueryPlan, namespace: str, after: Position | None
) -> Iterator[Row]:
    """Yield the rows of a namespace behind `after`; work is done as far as it is read."""
    found = connection.execute(
        "SELECT number FROM namespace WHERE name = ?", (namespace,)
    ).fetchone()
    if found is None:
        return iter(())
    pick = _affordable(connection, plan, *found)
    sql = _select(plan, pick, _source(pick, *found), _bounds(plan, pick, namespace, after))
    ordered: Iterable[Found] = connection.execute(sql.text, sql.values)
    if plan.order != "id":
        ordered = _ties_by_id(ordered, reverse=plan.order == "-created_at")
    rows = (
        Row(position_of(plan.order, created, namespace, memory_id), slot, version, bool(fits))
        for created, memory_id, slot, version, fits in ordered
    )
    if after is None:
        return rows
    return dropwhile(lambda row: not comes_before(plan.order, after, row.position), rows)


def _ties_by_id(found: Iterable[Found], *, reverse: bool) -> Iterator[Found]:
    for _, tied in groupby(found, key=_created):
        yield from sorted(tied, key=_id, reverse=reverse)


def _affordable(connection: sqlite3.Connection, plan: QueryPlan, namespace: int) -> Pick:
    """Return the best pick, unless it would have to sort too many rows."""
    best = plan.best
    if best.sorted_by == plan.plain.sorted_by:
        return best
    source = _source(best, namespace)
    (rows,) = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 {source.text} LIMIT ?)",  # noqa: S608 - our own names
        (*source.values, SORTED_MAX + 1),
    ).fetchone()
    return best if rows <= SORTED_MAX else plan.plain


def _source(pick: Pick, namespace: int) -> Sql:
    """Return where the rows of a pick come from; a term may bring some that it does not stand for."""
    if pick.index == "term":
        match = " AND ".join(
            f"({' OR '.join(term_of(namespace, *term) for term in group)})" for group in pick.terms
        )
        return Sql(
            "FROM term CROSS JOIN row ON row.number = term.rowid"  # CROSS: SQLite keeps this order
            " WHERE term MATCH ? AND row.namespace = ?",
            (match, namespace),
        )
    return Sql(
        f"FROM row INDEXED BY {pick.index} WHERE row.namespace = ? AND {pick.where.text}",
        (namespace, *pick.where.values),
    )


def _column(pick: Pick) -> str:
    """Return the number of a row as the index of the pick has it."""
    return "term.rowid" if pick.index == "term" else "row.number"


def _select(plan: QueryPlan, pick: Pick, source: Sql, bounds: Sql) -> Sql:
    order = "row.id" if plan.order == "id" else _column(pick)
    direction = "DESC" if plan.order == "-created_at" else "ASC"
    text = (
        f"SELECT row.number >> {SERIAL_BITS}, row.id, row.slot, row.version, {plan.fits.text}"
        f" {source.text} AND {bounds.text} ORDER BY {order} {direction}"
    )
    return Sql(text, (*plan.fits.values, *source.values, *bounds.values))


def _bounds(plan: QueryPlan, pick: Pick, namespace: str, after: Position | None) -> Sql:
    """Return where the walk begins and, by time, ends: at whole milliseconds, or at an id."""
    if plan.order == "id":
        return _start_by_id(namespace, after)
    lows = [plan.low_ms] if plan.low_ms is not None else []
    highs = [plan.high_ms] if plan.high_ms is not None else []
    if after is not None:
        (highs if plan.order == "-created_at" else lows).append(after[0])
    parts, values = ["1"], list[object]()
    if lows:
        parts.append(f"{_column(pick)} >= ?")
        values.append(_number(max(lows)))
    if highs:
        parts.append(f"{_column(pick)} < ?")
        values.append(_number(min(highs) + 1))
    return Sql(" AND ".join(parts), tuple(values))


def _number(ms: int) -> int:
    """Return the first number of a millisecond, or what is beyond all of them."""
    return max(-NUMBER_MAX, min(ms << SERIAL_BITS, NUMBER_MAX))


def _start_by_id(namespace: str, after: Position | None) -> Sql:
    if after is None:
        return Sql("1")
    _, last_id, last_namespace = after
    return Sql(f"row.id {'>=' if namespace > last_namespace else '>'} ?", (last_id,))
