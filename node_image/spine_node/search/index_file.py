"""The index file as its one writer thread sees it: open, make anew, write, close."""

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from spine_core.errors import CorruptRecordError
from spine_node.search.applier import Applier
from spine_node.search.entries import Entry, entry_of
from spine_node.search.schema import create_tables, delete_file, open_file, stored_position

Found = tuple[bytes, bytes | None]  # key, and the record the store holds; None after a purge

logger = logging.getLogger("spine.search")


class IndexFile:
    """One file for one store. Every method runs on the indexer's thread."""

    def __init__(self, path: Path, store_id: str) -> None:
        self._path, self._store_id = path, store_id
        self._connection: sqlite3.Connection | None = None
        self._applier: Applier | None = None

    def open(self) -> int | None:
        """Open what is there; return the feed position it shows, None when it is of no use."""
        try:
            connection = open_file(self._path)
        except sqlite3.DatabaseError:
            return None
        self._use(connection)
        return stored_position(connection, self._store_id)

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

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._applier = None

    def _use(self, connection: sqlite3.Connection) -> None:
        self._connection, self._applier = connection, Applier(connection)


def entries_of(found: Iterable[Found]) -> list[Entry]:
    """Read records; one that fails its checksum is left out and keeps its old row."""
    entries: list[Entry] = []
    for key, raw in found:
        try:
            entries.append(entry_of(key, raw))
        except CorruptRecordError as error:
            logger.warning("corrupt_record", extra={"key": key.hex(), "error": str(error)})
    return entries
