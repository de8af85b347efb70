"""Brings batches of changed records into the tables. Runs on the indexer's one thread.

A batch replaces whatever the index held of its records, so applying it twice changes nothing. Each
batch is one transaction together with the feed position it reaches.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from spine_node.search.entries import Entry
from spine_node.search.schema import SERIAL_BITS
from spine_node.search.terms import join_tags, split_tags, terms_of

NAMESPACES_KEPT_MAX: Final = 50_000  # numbers of names remembered in memory, some 10 MB
ROWS_AT_ONCE: Final = 256  # of one statement: each gives the interpreter's lock away and waits

_OLD_ROWS: Final = """
SELECT row.namespace, row.id, row.number, row.agent, row.user, row.thread, row.tags
FROM json_each(?) AS asked CROSS JOIN json_each(asked.value) AS name
CROSS JOIN row INDEXED BY row_id ON row.namespace = asked.key AND row.id = name.value
"""  # numbers of namespaces, each with the ids of it that are asked for
_TAKEN: Final = f"""
SELECT value, (SELECT max(number) FROM row
               WHERE number >= value << {SERIAL_BITS} AND number < value + 1 << {SERIAL_BITS})
FROM json_each(?)
"""  # noqa: S608 - our own numbers
_REMOVE: Final = "DELETE FROM row WHERE number IN (SELECT value FROM json_each(?))"
# A failure takes the whole batch back, so no statement need keep what it would itself undo: with
# many rows at once SQLite would copy each page first.
_ROWS: Final = "INSERT OR FAIL INTO row VALUES "
_ROW: Final = "(?,?,?,?,?,?,?,?,?,?,?,?)"
_COLUMNS: Final = _ROW.count("?")
# One statement for all: the table writes a segment at the beginning of each.
_LEAVE: Final = (
    "INSERT INTO term (term, rowid, terms) SELECT 'delete', key, value FROM json_each(?)"
)
_JOIN: Final = "INSERT INTO term (rowid, terms) SELECT key, value FROM json_each(?)"

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
        left = {row.number: row.terms for row in old.values()}
        if left:
            self._connection.execute(_REMOVE, (_json(list(left)),))
        self._insert(rows)
        self._post(left, terms)

    def _old_rows(self, entries: Sequence[Entry]) -> dict[Address, OldRow]:
        asked: defaultdict[int, list[str]] = defaultdict(list)
        for entry in entries:
            asked[self._namespace(entry.namespace)].append(entry.memory_id)
        return {
            (namespace, memory_id): OldRow(number, terms_of(namespace, names, split_tags(tags)))
            for namespace, memory_id, number, *names, tags in self._connection.execute(
                _OLD_ROWS, (_json(asked),)
            )
        }

    def _new_rows(
        self, entries: Sequence[Entry], old: dict[Address, OldRow]
    ) -> tuple[list[object], dict[int, str]]:
        """Return the values of the rows of live records, and the terms of each by its number."""
        following = self._following({entry.created_ms for entry in entries})
        rows: list[object] = []
        terms: dict[int, str] = {}
        for entry in entries:
            client, created = entry.client, entry.created_ms
            assert client is not None, "a deleted record has no row"
            namespace = self._namespace(entry.namespace)
            before = old.get((namespace, entry.memory_id)) if old else None
            if before is not None and before.number >> SERIAL_BITS == created:
                number = before.number
            else:
                number = following.get(created, created << SERIAL_BITS)
                following[created] = number + 1
                assert number >> SERIAL_BITS == created, "too many rows of one ms"
            names = (client.agent_id, client.user_id, client.thread_id)
            terms[number] = terms_of(namespace, names, client.tags)
            pinned = None if client.pinned is None else int(client.pinned)
            # sqlite3 binds these types at once: for bytes and bool it asks for a converter first
            rows += (
                number, entry.slot, bytearray(entry.version), namespace, entry.memory_id,
                entry.expires_ms, client.importance, pinned, *names, join_tags(client.tags),
            )  # fmt: skip
        return rows, terms

    def _following(self, times: Collection[int]) -> dict[int, int]:
        """Return, of those milliseconds that rows have, the number behind the last of them."""
        (last,) = self._connection.execute("SELECT coalesce(max(number), 0) FROM row").fetchone()
        known = _json([ms for ms in times if ms <= last >> SERIAL_BITS])
        taken = self._connection.execute(_TAKEN, (known,))
        return {ms: number + 1 for ms, number in taken if number is not None}

    def _post(self, old: dict[int, str], new: dict[int, str]) -> None:
        """Take rows out of the lists of their old terms and into those of the new ones."""
        same = {number for number, terms in old.items() if new.get(number) == terms}
        self._change(_LEAVE, old, same)
        self._change(_JOIN, new, same)

    def _change(self, statement: str, terms: Mapping[int, str], same: set[int]) -> None:
        """Change lists in the order of rows: the table writes a segment when a number falls."""
        ordered = {number: terms[number] for number in sorted(terms) if number not in same}
        if ordered:
            self._connection.execute(statement, (_json(ordered),))

    def _insert(self, values: Sequence[object]) -> None:
        """Insert rows, powers of two at once: few statements are prepared, and none for one batch."""
        start = 0
        while left := (len(values) - start) // _COLUMNS:
            count = min(ROWS_AT_ONCE, 1 << left.bit_length() - 1)
            end = start + count * _COLUMNS
            self._connection.execute(_ROWS + ",".join([_ROW] * count), values[start:end])
            start = end

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


def _json(value: object) -> str:
    """Return what SQLite's json_each reads; it takes no bytes."""
    return msgspec.json.encode(value).decode()
