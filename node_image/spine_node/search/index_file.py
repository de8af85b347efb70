"""The index file as its one writer thread sees it: open, make anew, write, close."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from spine_core.errors import CorruptRecordError
from spine_node.search.applier import Applier
from spine_node.search.entries import Entry, damaged_entry, entry_of
from spine_node.search.schema import (
    create_tables,
    delete_file,
    is_damage,
    open_file,
    stored_position,
)

Found = tuple[bytes, bytes | None]  # key, and the record the store holds; None after a purge


class IndexFile:
    """One file for one store. Every method runs on the indexer's thread."""

    def __init__(self, path: Path, store_id: str) -> None:
        self._path, self._store_id = path, store_id
        self._connection: sqlite3.Connection | None = None
        self._applier: Applier | None = None

    def open(self) -> int | None:
        """Open what is there; return the feed position it shows, None when it is of no use.

        Raises:
            sqlite3.Error: it may be of use, and cannot be opened now.
        """
        try:
            connection = open_file(self._path)
            self._use(connection)
            return stored_position(connection, self._store_id)
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                return None
            self.close()
            raise

    def make(self) -> None:
        """Replace the file by an empty one without a position."""
        self.close()
        delete_file(self._path)
        connection = open_file(self._path)
        create_tables(connection, self._store_id)
        self._use(connection)

    def write(self, entries: Sequence[Entry], position: int | None) -> None:
        """Show these records, and the feed up to `position` if given.

        Raises:
            sqlite3.Error: the file is damaged, or could not be made anew.
        """
        if self._applier is None:
            raise sqlite3.OperationalError("the index file is not open")
        self._applier.apply(entries, position)

    @property
    def damaged(self) -> frozenset[bytes]:
        """The keys of records that the file knows to be damaged; safe to ask on any thread."""
        return self._applier.damaged if self._applier else frozenset()

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._applier = None

    def _use(self, connection: sqlite3.Connection) -> None:
        self._connection, self._applier = connection, Applier(connection)
        self._applier.load()


def entries_of(found: Iterable[Found]) -> list[Entry]:
    """Read records; one that cannot be read keeps its old row, and is known as damaged."""
    return [_entry_of(key, raw) for key, raw in found]


def _entry_of(key: bytes, raw: bytes | None) -> Entry:
    try:
        return entry_of(key, raw)
    except CorruptRecordError:
        return damaged_entry(key)
