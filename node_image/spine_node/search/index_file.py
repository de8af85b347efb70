"""The index file as its one writer thread sees it: open, make anew, write, close."""

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from spine_core.errors import CorruptRecordError
from spine_core.ids import key_hash
from spine_node.search.applier import Applier
from spine_node.search.entries import Entry, entry_of, signed
from spine_node.search.schema import create_tables, delete_file, open_file, stored_position
from spine_node.store import split_key

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

    def write(self, found: Sequence[Found], position: int | None) -> None:
        """Show these records as the store holds them, and the feed up to `position` if given."""
        assert self._applier is not None, "the file is open"
        purged = [hash_of(key) for key, raw in found if raw is None]
        self._applier.apply(list(_entries(found)), purged, position)

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._applier = None

    def _use(self, connection: sqlite3.Connection) -> None:
        self._connection, self._applier = connection, Applier(connection)


def hash_of(key: bytes) -> int:
    """Return the key hash of a record as the tables hold it."""
    _, namespace, memory_id = split_key(key)
    return signed(key_hash(namespace, memory_id))


def _entries(found: Iterable[Found]) -> Iterator[Entry]:
    """Yield what is indexed of each record; one that fails its checksum keeps its old row."""
    for key, raw in found:
        if raw is None:
            continue
        try:
            yield entry_of(key, raw)
        except CorruptRecordError:
            logger.warning("corrupt_record", extra={"key": key.hex()})
