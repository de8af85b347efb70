"""One walk: the rows of one namespace in the order of a list, read from SQLite one by one."""

import sqlite3
from collections.abc import Iterator
from typing import Final, NamedTuple

from spine_core.records.versions import Version
from spine_node.search.messages import Position, position_of
from spine_node.search.plan import AFTER_ANY_ID, Pick, QueryPlan, Sql

SORTED_MAX: Final = 20_000  # rows that one walk may sort because its index has another order


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
    number = connection.execute(
        "SELECT number FROM namespace WHERE name = ?", (namespace,)
    ).fetchone()
    if number is None:
        return
    pick = _affordable(connection, plan, number)
    sql = _select(plan, pick, _start(plan, pick, namespace, after))
    for created, memory_id, slot, version, fits in connection.execute(
        sql.text, (*plan.fits.values, *number, *sql.values)
    ):
        position = position_of(plan.order, created, namespace, memory_id)
        yield Row(position, slot, version, bool(fits))


def _affordable(connection: sqlite3.Connection, plan: QueryPlan, number: tuple[int]) -> Pick:
    """Return the best pick, unless it would have to sort too many rows."""
    best = plan.best
    if best.sorted_by == plan.plain.sorted_by:
        return best
    found = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {_source(best)}"  # noqa: S608 - our own names
        f" WHERE {best.table}.namespace = ? AND {best.where.text} LIMIT ?)",
        (*number, *best.where.values, SORTED_MAX + 1),
    ).fetchone()
    return best if found[0] <= SORTED_MAX else plan.plain


def _select(plan: QueryPlan, pick: Pick, bounds: Sql) -> Sql:
    direction = "DESC" if plan.order == "-created_at" else "ASC"
    order = ("id",) if plan.order == "id" else ("created", "id")
    sort = ", ".join(f"{pick.table}.{column} {direction}" for column in order)
    text = (
        f"SELECT row.created, row.id, row.slot, row.version, {plan.fits.text}"  # noqa: S608 - our own names
        f" FROM {_source(pick)} WHERE {pick.table}.namespace = ? AND {pick.where.text}"
        f" AND {bounds.text} ORDER BY {sort}"
    )
    return Sql(text, (*pick.where.values, *bounds.values))


def _source(pick: Pick) -> str:
    if pick.table == "tag":
        return "tag CROSS JOIN row ON row.number = tag.row"  # CROSS: SQLite keeps this order
    return f"row INDEXED BY {pick.index}"


def _start(plan: QueryPlan, pick: Pick, namespace: str, after: Position | None) -> Sql:
    """Return where the walk begins and, by time, ends."""
    if plan.order == "id":
        return _start_by_id(namespace, after)
    edges: list[tuple[int, str]] = []
    if after is not None:
        edges.append((after[0], _id_edge(namespace, after)))
    created, pair = f"{pick.table}.created", f"({pick.table}.created, {pick.table}.id)"
    if plan.order == "created_at":
        edges.extend([] if plan.low_ms is None else [(plan.low_ms, "")])
        edge, sign, stop = max(edges, default=None), ">", (plan.high_ms, "<=")
    else:
        edges.extend([] if plan.high_ms is None else [(plan.high_ms, AFTER_ANY_ID)])
        edge, sign, stop = min(edges, default=None), "<", (plan.low_ms, ">=")
    parts, values = ["1"], list[object]()
    if edge is not None:
        parts.append(f"{pair} {sign} (?, ?)")
        values.extend(edge)
    if stop[0] is not None:
        parts.append(f"{created} {stop[1]} ?")
        values.append(stop[0])
    return Sql(" AND ".join(parts), tuple(values))


def _id_edge(namespace: str, after: Position) -> str:
    """Return the id between what is behind `after` and what is not, at the same created_at."""
    _, last_namespace, last_id = after
    if namespace == last_namespace:
        return last_id
    return "" if namespace > last_namespace else AFTER_ANY_ID


def _start_by_id(namespace: str, after: Position | None) -> Sql:
    if after is None:
        return Sql("1")
    _, last_id, last_namespace = after
    return Sql(f"row.id {'>=' if namespace > last_namespace else '>'} ?", (last_id,))
