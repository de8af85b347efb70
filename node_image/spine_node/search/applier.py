"""Brings batches of changed records into the tables. Runs on the indexer's one thread.

A batch replaces whatever the index held of its records, so applying it twice changes nothing. Each
batch is one transaction together with the feed position it reaches.
"""

import json
import sqlite3
from collections.abc import Collection, Sequence
from itertools import chain
from operator import itemgetter
from typing import Final, NamedTuple

from spine_node.search.entries import Entry
from spine_node.search.schema import SERIAL_BITS
from spine_node.search.terms import join_tags, split_tags, terms_of

NAMESPACES_KEPT_MAX: Final = 50_000  # numbers of names remembered in memory, some 10 MB
ROWS_AT_ONCE: Final = (
    64  # of one statement: each gives the interpreter's lock away and waits for it
)

_OLD_ROWS: Final = """
SELECT row.namespace, row.id, row.number, row.agent, row.user, row.thread, row.tags
FROM json_each(?) AS asked CROSS JOIN row INDEXED BY row_id
ON row.namespace = json_extract(asked.value, '$[0]') AND row.id = json_extract(asked.value, '$[1]')
"""
_TAKEN: Final = f"""
SELECT value, (SELECT max(number) FROM row
               WHERE number >= value << {SERIAL_BITS} AND number < value + 1 << {SERIAL_BITS})
FROM json_each(?)
"""  # noqa: S608 - our own numbers

Address = tuple[int, str]  # number of the namespace, id


class OldRow(NamedTuple):
    """A row that a batch replaces or removes."""

    number: int
    terms: str


class Applier:
    """The one writer of an index file. A sequence of `Entry` has each record once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._namespaces: dict[str, int] = {}
        self.damaged: frozenset[bytes] = frozenset()  # keys; replaced with every change

    def load(self) -> None:
        """Read which records are known to be damaged; a file without tables knows none."""
        if self._connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = 'damaged'"
        ).fetchone():
            rows = self._connection.execute("SELECT key FROM damaged")
            self.damaged = frozenset(key for (key,) in rows)

    def apply(self, entries: Sequence[Entry], position: int | None) -> None:
        """Replace the rows of these records, and move on to a feed position.

        `position` None leaves the stored one: the first pages of a rebuild are not yet an index.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._replace([entry for entry in entries if not entry.damaged])
            damaged = self._note_damage(entries)
            if position is not None:
                self._connection.execute("UPDATE meta SET position = ?", (position,))
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk has ended it already
                self._connection.execute("ROLLBACK")
            self._namespaces.clear()  # numbers given in this transaction are void
            raise
        self.damaged = damaged

    def _note_damage(self, entries: Sequence[Entry]) -> frozenset[bytes]:
        """Store which records cannot be read; return those of the whole file."""
        whole = {each.key for each in entries if not each.damaged and each.key in self.damaged}
        damaged = {each.key for each in entries if each.damaged} - self.damaged
        if not whole and not damaged:
            return self.damaged
        run = self._connection.executemany
        run("DELETE FROM damaged WHERE key = ?", [(key,) for key in whole])
        run("INSERT INTO damaged VALUES (?)", [(key,) for key in damaged])
        return (self.damaged - whole) | damaged

    def _replace(self, entries: Sequence[Entry]) -> None:
        old = self._old_rows(entries)
        rows, terms = self._new_rows([each for each in entries if each.client is not None], old)
        self._connection.executemany(
            "DELETE FROM row WHERE number = ?", [(row.number,) for row in old.values()]
        )
        self._insert("INSERT INTO row VALUES ", "(?,?,?,?,?,?,?,?,?,?,?,?,?)", rows)
        self._post({row.number: row.terms for row in old.values()}, terms)

    def _old_rows(self, entries: Sequence[Entry]) -> dict[Address, OldRow]:
        listed = json.dumps([(self._namespace(each.namespace), each.memory_id) for each in entries])
        return {
            (namespace, memory_id): OldRow(number, terms_of(namespace, names, split_tags(tags)))
            for namespace, memory_id, number, *names, tags in self._connection.execute(
                _OLD_ROWS, (listed,)
            )
        }

    def _new_rows(
        self, entries: Sequence[Entry], old: dict[Address, OldRow]
    ) -> tuple[list[tuple[object, ...]], dict[int, str]]:
        """Return the rows of live records, and the terms of each by its number."""
        following = self._following({entry.created_ms for entry in entries})
        rows: list[tuple[object, ...]] = []
        terms: dict[int, str] = {}
        for entry in entries:
            client, created = entry.client, entry.created_ms
            assert client is not None, "a deleted record has no row"
            namespace = self._namespace(entry.namespace)
            before = old.get((namespace, entry.memory_id))
            if before is not None and before.number >> SERIAL_BITS == created:
                number = before.number
            else:
                number = following.get(created, created << SERIAL_BITS)
                following[created] = number + 1
                assert number >> SERIAL_BITS == created, "too many rows of one ms"
            names = (client.agent_id, client.user_id, client.thread_id)
            terms[number] = terms_of(namespace, names, client.tags)
            rows.append(
                (
                    number, entry.slot, entry.version, namespace, entry.memory_id,
                    entry.updated_ms, entry.expires_ms, client.importance, client.pinned,
                    *names, join_tags(client.tags),
                )
            )  # fmt: skip
        return rows, terms

    def _following(self, times: Collection[int]) -> dict[int, int]:
        """Return, of those milliseconds that rows have, the number behind the last of them."""
        (last,) = self._connection.execute("SELECT coalesce(max(number), 0) FROM row").fetchone()
        known = json.dumps([ms for ms in times if ms <= last >> SERIAL_BITS])
        taken = self._connection.execute(_TAKEN, (known,))
        return {ms: number + 1 for ms, number in taken if number is not None}

    def _post(self, old: dict[int, str], new: dict[int, str]) -> None:
        """Take rows out of the lists of their old terms and into those of the new ones.

        In the order of the rows: the table writes what it has gathered when a number falls.
        """
        same = old.items() & new.items()
        changes: list[tuple[int, str | None, str]] = []
        changes += [(number, "delete", terms) for number, terms in old.items() - same]
        changes += [(number, None, terms) for number, terms in new.items() - same]
        changes.sort(key=itemgetter(0))
        self._insert("INSERT INTO term (rowid, term, terms) VALUES ", "(?,?,?)", changes)

    def _insert(self, into: str, row: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Insert rows, many with one statement."""
        whole = len(rows) - len(rows) % ROWS_AT_ONCE
        for start in range(0, whole, ROWS_AT_ONCE):
            values = chain.from_iterable(rows[start : start + ROWS_AT_ONCE])
            self._connection.execute(into + ",".join([row] * ROWS_AT_ONCE), list(values))
        self._connection.executemany(into + row, rows[whole:])

    def _namespace(self, name: str) -> int:
        number = self._namespaces.get(name)
        if number is None:
            run = self._connection.execute
            run("INSERT OR IGNORE INTO namespace (name) VALUES (?)", (name,))
            (number,) = run("SELECT number FROM namespace WHERE name = ?", (name,)).fetchone()
            if len(self._namespaces) >= NAMESPACES_KEPT_MAX:
                self._namespaces.clear()
            self._namespaces[name] = number
        return number
