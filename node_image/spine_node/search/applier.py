"""Brings batches of changed records into the tables. Runs on the indexer's one thread.

A batch replaces whatever the index held of its records, so applying it twice changes nothing. Each
batch is one transaction together with the feed position it reaches.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence

from spine_node.search.entries import Entry

TERMS_KEPT_MAX = 100_000  # numbers of strings remembered in memory, some 10 MB


class Applier:
    """The one writer of an index file. A sequence of `Entry` has each record once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._namespaces: dict[str, int] = {}
        self._terms: dict[str, int] = {}

    def apply(self, entries: Sequence[Entry], purged: Sequence[int], position: int | None) -> None:
        """Replace the rows of `entries`, remove those of the key hashes `purged`, move on.

        `position` None leaves the stored one: the first pages of a rebuild are not yet an index.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._remove([*(entry.hash for entry in entries), *purged])
            self._insert(entries)
            if position is not None:
                self._connection.execute("UPDATE meta SET position = ?", (position,))
        except BaseException:
            self._connection.execute("ROLLBACK")
            self._namespaces.clear()  # numbers given in this transaction are void
            self._terms.clear()
            raise
        self._connection.execute("COMMIT")

    def _remove(self, hashes: Sequence[int]) -> None:
        listed = (json.dumps(hashes),)
        old = self._connection.execute(
            "SELECT number, namespace, created, id, tags FROM row"
            " WHERE key_hash IN (SELECT value FROM json_each(?))",
            listed,
        ).fetchall()
        if old:
            self._connection.executemany(
                "DELETE FROM tag WHERE namespace = ? AND term = ? AND created = ? AND id = ?",
                [
                    (namespace, int(term), created, memory_id)
                    for _, namespace, created, memory_id, tags in old
                    for term in tags.split(",")[1:-1]
                ],
            )
            self._connection.executemany(
                "DELETE FROM row WHERE number = ?", [(row[0],) for row in old]
            )
        self._connection.execute(
            "DELETE FROM gone WHERE key_hash IN (SELECT value FROM json_each(?))", listed
        )

    def _insert(self, entries: Sequence[Entry]) -> None:
        (number,) = self._connection.execute("SELECT coalesce(max(number), 0) FROM row").fetchone()
        rows: list[tuple[object, ...]] = []
        tags: list[tuple[object, ...]] = []
        gone: list[tuple[object, ...]] = []
        for entry in entries:
            namespace = self._number(self._namespaces, "namespace", "name", entry.namespace)
            if entry.client is None:
                gone.append((entry.hash, entry.slot, entry.version, namespace, entry.memory_id))
                continue
            number += 1
            terms = self._terms_of(entry.client.tags)
            rows.append(self._row(number, namespace, entry, terms))
            tags.extend(
                (namespace, term, entry.created_ms, entry.memory_id, number) for term in terms
            )
        insert = self._connection.executemany
        insert("INSERT INTO row VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", rows)
        insert("INSERT INTO tag VALUES (?,?,?,?,?)", tags)
        insert("INSERT INTO gone VALUES (?,?,?,?,?)", gone)

    def _row(
        self, number: int, namespace: int, entry: Entry, terms: Sequence[int]
    ) -> tuple[object, ...]:
        client = entry.client
        assert client is not None, "a tombstone has no row"
        names = (client.agent_id, client.user_id, client.thread_id)
        return (
            number, entry.hash, entry.slot, entry.version, namespace, entry.memory_id,
            entry.created_ms, entry.updated_ms, entry.expires_ms, client.importance, client.pinned,
            *(None if name is None else self._term(name) for name in names),
            tag_list(terms),
        )  # fmt: skip

    def _terms_of(self, texts: Iterable[str]) -> list[int]:
        return [self._term(text) for text in dict.fromkeys(texts)]

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


def tag_list(terms: Iterable[int]) -> str:
    """Return numbers of terms as `row.tags` holds them: each between commas."""
    return f",{','.join(map(str, terms))}," if terms else ","
