"""Reads of the index, on a small pool of threads with a connection each.

A *window* is the next few rows of a walk through one or many namespaces, in the order of the list.
Each row says whether SQL lets it through; the others are examined rows too and move the walk on.
"""

import asyncio
import heapq
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from spine_node.search.messages import Position
from spine_node.search.plan import QueryPlan
from spine_node.search.schema import open_file
from spine_node.search.walks import Row, walk
from spine_node.threads import show_thread_name

THREADS: Final = 2  # SQLite works outside the interpreter's lock; more would only queue for it

Answer = TypeVar("Answer")
_position = itemgetter(0)  # of a Row
_ADDRESSES: Final = (
    "SELECT row.number, slot, name, id FROM row JOIN namespace ON namespace.number = namespace"
    " WHERE row.number > ? ORDER BY row.number LIMIT ?"
)


class Address(NamedTuple):
    """One row of the index, by its number, and the record it shows."""

    number: int
    slot: int
    namespace: str
    memory_id: str


def is_listed(name: str, namespace: str, *, subtree: bool) -> bool:
    """Tell whether a list of a namespace shows another: itself, or one below that is not the server's."""
    if name == namespace:
        return True
    below = name[len(namespace) :]
    return subtree and name.startswith(f"{namespace}.") and "._" not in below


class Readers:
    """The pool. `reopen` leaves a file that was replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(
            THREADS, thread_name_prefix="index-reader", initializer=show_thread_name
        )
        self._generation = 0
        self._idle: list[tuple[int, sqlite3.Connection]] = []  # (generation, connection)

    async def window(
        self, plan: QueryPlan, namespaces: Sequence[str], after: Position | None, rows: int
    ) -> list[Row]:
        """Return the next `rows` rows; fewer mean that the walk has ended."""

        def read(connection: sqlite3.Connection) -> list[Row]:
            reverse = plan.order == "-created_at"
            walks = (walk(connection, plan, name, after) for name in namespaces)
            return list(islice(heapq.merge(*walks, key=_position, reverse=reverse), rows))

        return await self._read(read)

    async def namespaces_below(self, namespace: str) -> list[str]:
        """Return the namespace and those below it that are not the server's own."""

        def read(connection: sqlite3.Connection) -> list[str]:
            below = connection.execute(
                "SELECT name FROM namespace WHERE name > ? AND name < ?",
                (f"{namespace}.", f"{namespace}/"),  # '/' follows '.'
            )
            names = (name for (name,) in below)
            return [namespace, *(n for n in names if is_listed(n, namespace, subtree=True))]

        return await self._read(read)

    async def addresses(self, after: int, rows: int) -> list[Address]:
        """Return the next rows behind a row number, whatever they show."""

        def read(connection: sqlite3.Connection) -> list[Address]:
            return [Address(*row) for row in connection.execute(_ADDRESSES, (after, rows))]

        return await self._read(read)

    def reopen(self) -> None:
        """Use new connections from the next read on."""
        self._generation += 1
        self._close_idle()

    def close(self) -> None:
        """Let running reads finish, then end the threads."""
        self._pool.shutdown(wait=True)
        self._close_idle()

    async def _read(self, read: Callable[[sqlite3.Connection], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, read)

    def _run(self, read: Callable[[sqlite3.Connection], Answer]) -> Answer:
        generation, connection = self._take()
        try:
            return read(connection)
        finally:
            self._idle.append((generation, connection))

    def _take(self) -> tuple[int, sqlite3.Connection]:
        while self._idle:
            generation, connection = self._idle.pop()
            if generation == self._generation:
                return generation, connection
            connection.close()
        return self._generation, open_file(self._path)

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()
