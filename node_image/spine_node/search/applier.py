"""Brings batches of changed records into the tables. Runs on the indexer's one thread.

A batch replaces whatever the index held of its records, so applying it twice changes nothing. Each
batch is one transaction together with the feed position it reaches.
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from spine_node.search.entries import Client, Entry

TERMS_KEPT_MAX: Final = 100_000  # numbers of strings remembered in memory, some 10 MB

_ROWS_OF: Final = """
SELECT row.number, row.namespace, row.created, row.id, row.tags
FROM json_each(?) AS asked CROSS JOIN row INDEXED BY row_id
ON row.namespace = json_extract(asked.value, '$[0]') AND row.id = json_extract(asked.value, '$[1]')
"""


class Applier:
    """The one writer of an index file. A sequence of `Entry` has each record once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._namespaces: dict[str, int] = {}
        self._terms: dict[str, int] = {}
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
            self._remove([entry for entry in entries if not entry.damaged])
            self._insert([entry for entry in entries if entry.client is not None])
            damaged = self._note_damage(entries)
            if position is not None:
                self._connection.execute("UPDATE meta SET position = ?", (position,))
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk has ended it already
                self._connection.execute("ROLLBACK")
            self._namespaces.clear()  # numbers given in this transaction are void
            self._terms.clear()
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

    def _remove(self, entries: Sequence[Entry]) -> None:
        listed = json.dumps([(self._namespace(each), each.memory_id) for each in entries])
        old = self._connection.execute(_ROWS_OF, (listed,)).fetchall()
        self._connection.executemany(
            "DELETE FROM tag WHERE namespace = ? AND term = ? AND created = ? AND id = ?",
            [
                (namespace, int(term), created, memory_id)
                for _, namespace, created, memory_id, tags in old
                for term in tags.split(",")[1:-1]
            ],
        )
        self._connection.executemany("DELETE FROM row WHERE number = ?", [row[:1] for row in old])

    def _insert(self, entries: Sequence[Entry]) -> None:
        (last,) = self._connection.execute("SELECT coalesce(max(number), 0) FROM row").fetchone()
        rows: list[tuple[object, ...]] = []
        tags: list[tuple[object, ...]] = []
        for number, entry in enumerate(entries, last + 1):
            assert entry.client is not None, "a deleted record has no row"
            terms = [self._term(text) for text in dict.fromkeys(entry.client.tags)]
            rows.append(self._row(number, entry, entry.client, terms))
            tags.extend(
                (self._namespace(entry), term, entry.created_ms, entry.memory_id, number)
                for term in terms
            )
        insert = self._connection.executemany
        insert("INSERT INTO row VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", rows)
        insert("INSERT INTO tag VALUES (?,?,?,?,?)", tags)

    def _row(
        self, number: int, entry: Entry, client: Client, terms: Sequence[int]
    ) -> tuple[object, ...]:
        names = (client.agent_id, client.user_id, client.thread_id)
        return (
            number, entry.slot, entry.version, self._namespace(entry), entry.memory_id,
            entry.created_ms, entry.updated_ms, entry.expires_ms, client.importance, client.pinned,
            *(None if name is None else self._term(name) for name in names),
            f",{','.join(map(str, terms))}," if terms else ",",
        )  # fmt: skip

    def _namespace(self, entry: Entry) -> int:
        return self._number(self._namespaces, "namespace", "name", entry.namespace)

    def _term(self, text: str) -> int:
        return self._number(self._terms, "term", "text", text)

    def _number(self, known: dict[str, int], table: str, column: str, text: str) -> int:
        """Return the number that stands for a string, a new one for a new string."""
        number = known.get(text)
        if number is not None:
            return number
        found = self._connection.execute(
            f"SELECT number FROM {table} WHERE {column} = ?",  # noqa: S608 - names from this file
            (text,),
        ).fetchone()
        number = found[0] if found else self._new_number(table, column, text)
        if len(known) >= TERMS_KEPT_MAX:
            known.clear()
        known[text] = number
        return number

    def _new_number(self, table: str, column: str, text: str) -> int:
        number = self._connection.execute(
            f"INSERT INTO {table} ({column}) VALUES (?)",  # noqa: S608 - names from this file
            (text,),
        ).lastrowid
        assert number is not None
        return number
