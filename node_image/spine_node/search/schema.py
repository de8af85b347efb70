"""The tables of the query index, and how its file is opened.

row    one live record; its number is created_at in milliseconds and a serial number, so the order
       of numbers is the order of lists, but for ties. updated_at is in its version
term   full-text table without texts: which rows an agent, a user, a thread or a tag has (terms.py)
damaged  key of a record that is held and cannot be read: its row, if any, is older
meta   one line: whose records these are, and the feed position that all of the above shows

Invariant: a transaction that changes rows also stores the feed position it brings them to, so a
crash leaves the one with the other. The file is a cache: in doubt it is deleted. Source: api.md §8.
"""

import os
import sqlite3
from pathlib import Path
from typing import Final

FORMAT: Final = 4  # of these tables; another one is rebuilt
WAL_PAGES: Final = 8000  # 32 MB, gathered before pages move to the file: each moves once, not often
PAGE_BYTES: Final = 4096  # SQLite's own choice
CACHE_KIB: Final = 16 * 1024  # pages kept per connection: the inner nodes of a million rows

SERIAL_BITS: Final = 20  # of a row's number: a million rows of one millisecond
CREATED_MS_MAX: Final = (1 << 63 - SERIAL_BITS) - 1  # in the year 2248

WAL_PART: Final = 64  # of the file system is the most for it: of a small disk 32 MB are much
_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
    }
)
_UNREADABLE: Final = frozenset(
    {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
)

_TABLES: Final = """
CREATE TABLE meta (store_id TEXT NOT NULL, position INTEGER);
CREATE TABLE namespace (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE row (
    number INTEGER PRIMARY KEY,
    slot INTEGER NOT NULL, version BLOB NOT NULL,
    namespace INTEGER NOT NULL, id TEXT NOT NULL,
    expires INTEGER NOT NULL,  -- 0 never
    importance REAL, pinned INTEGER, agent TEXT, user TEXT, thread TEXT,
    tags TEXT NOT NULL
);
CREATE UNIQUE INDEX row_id ON row (namespace, id);
CREATE INDEX row_created ON row (namespace);  -- an index of SQLite ends with the row's number
CREATE TABLE damaged (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE VIRTUAL TABLE term USING fts5(
    terms, content='', columnsize=0, detail=none, tokenize='ascii'
);
"""


def open_file(path: Path) -> sqlite3.Connection:
    """Open a connection for one thread at a time; transactions are begun explicitly."""
    path.touch(mode=0o600)  # SQLite would let others read it; its files beside it follow this one
    connection = sqlite3.connect(
        path, isolation_level=None, cached_statements=256, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # a lost tail is read from the feed again
    connection.execute(f"PRAGMA wal_autocheckpoint = {_wal_pages(path)}")
    connection.execute("PRAGMA temp_store = MEMORY")  # what one statement sorts or may undo
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return connection


def _wal_pages(path: Path) -> int:
    stat = os.statvfs(path)
    return min(WAL_PAGES, stat.f_blocks * stat.f_frsize // WAL_PART // PAGE_BYTES) or WAL_PAGES


def create_tables(connection: sqlite3.Connection, store_id: str) -> None:
    """Make an empty index of a store, without a position: it is not to be used before a rebuild."""
    connection.executescript(_TABLES)
    connection.execute("INSERT INTO meta VALUES (?, NULL)", (store_id,))
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def stored_position(connection: sqlite3.Connection, store_id: str) -> int | None:
    """Return the feed position of a sound index of this store, None for any other file.

    Raises:
        sqlite3.Error: the file may be sound, and cannot be read now.
    """
    try:
        if connection.execute("PRAGMA user_version").fetchone() != (FORMAT,):
            return None
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            return None
        row = connection.execute("SELECT store_id, position FROM meta").fetchone()
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return None
        raise
    return row[1] if row and row[0] == store_id else None


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether a new file is the cure: not for a disk that is full, or cannot be written now."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF not in _PASSING or code in _UNREADABLE


def delete_file(path: Path) -> None:
    """Remove an index with the files that SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
