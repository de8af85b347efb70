"""Opening a directory as a store: one process at a time, one format, one identity for good.

A store id names a disk, not a pod: an empty volume is a new store (protocol.md §4.3 R9, §20 (2)).
The clean flag is taken away, durably, before the first write of a run; only `save` puts it back.
"""

import fcntl
import os
import struct
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import lmdb

from spine_core.scalars import HLC_ZERO, StoreNumber
from spine_node.store.digests import Digests, change_of
from spine_node.store.draft import OpenRound, open_round
from spine_node.store.errors import (
    StorageError,
    StorageFullError,
    StoreDamagedError,
    StoreFormatError,
    StoreLockedError,
)
from spine_node.store.layout import DATA_FILE, FORMAT, Tables, pack_u64, slot_of_key, unpack_u64
from spine_node.store.operations import Adopt
from spine_node.store.page_check import check_pages
from spine_node.store.space import GROWTH_BYTES, Cause, Disk
from spine_node.store.state import State


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """Who this store is. `number` and `cluster_id` come with the first document that names it."""

    store_id: str  # UUID, drawn once per directory
    cluster_id: str | None
    number: StoreNumber | None
    boot: int  # from 1, one more with every opening
    was_clean: bool  # how the run before ended; true for a new store

    def adopted(self, adopt: Adopt) -> "StoreIdentity":
        """Return who this store is under a new document."""
        number = self.number if adopt.number is None else adopt.number
        return replace(self, cluster_id=adopt.cluster_id, number=number)


PID_WIDTH = 10  # written over the one before, which takes no new space


def lock_directory(path: Path) -> IO[str]:
    """Take the directory for this process until the returned file is closed.

    Raises:
        StoreLockedError: somebody else has it.
    """
    file = os.fdopen(os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        pid = file.read().strip()
        file.close()
        raise StoreLockedError(path, pid) from error
    with suppress(OSError):  # who has it is for people to read; a full disk must not hinder a start
        os.pwrite(file.fileno(), f"{os.getpid():<{PID_WIDTH}}\n".encode(), 0)
    return file


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable: an fsync of a new file does not promise its name."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_format(environment: lmdb.Environment, path: Path) -> None:
    """Refuse a store of another format before anything in it is touched.

    Raises:
        StoreFormatError: the directory is of another version.
    """
    with environment.begin(db=environment.open_db(b"meta")) as txn:
        found = txn.get(b"format")
    if found is not None and unpack_u64(found) != FORMAT:
        raise StoreFormatError(path, unpack_u64(found), FORMAT)


def open_environment(path: Path, map_bytes: int) -> lmdb.Environment:
    """Open or create the files of LMDB, once they are known to be whole.

    Raises:
        StoreDamagedError: the data file is not.
        StorageError: LMDB cannot open them.
    """
    check_pages(path / DATA_FILE)
    try:
        environment: lmdb.Environment = lmdb.open(
            str(path), map_size=map_bytes, max_dbs=len(Tables._fields), mode=0o600
        )
    except lmdb.Error as error:
        raise StorageError(f"cannot open {path}: {error}") from error
    lengthen(path / DATA_FILE, bytes_in_use(environment))
    return environment


@contextmanager
def reading(file: Path, disk: Disk) -> Iterator[None]:
    """Say what is wrong with a data file that cannot be begun with.

    Raises:
        StoreDamagedError: it holds nonsense.
        StorageFullError: its disk is full.
        StorageError: its disk fails.
    """
    try:
        yield
    except lmdb.Error as error:
        code: int | None = getattr(error, "code", None)
        if code is None or code < 0:  # LMDB's own: it met what it cannot read
            raise StoreDamagedError(file, f"its tables say nonsense: {error}") from error
        if disk.cause(code, GROWTH_BYTES) is Cause.BROKEN:
            raise StorageError(f"{file} cannot be used: {error}") from error
        message = f"{file}: its disk is full: make space there and start again"
        raise StorageFullError(message) from error
    except (ValueError, struct.error) as error:
        raise StoreDamagedError(file, f"its tables say nonsense: {error}") from error


def lengthen(file: Path, size: int) -> None:
    """Let a data file reach its last page, written or not: a shorter one then is one cut off."""
    if file.stat().st_size < size:
        os.truncate(file, size)


def bytes_in_use(environment: lmdb.Environment) -> int:
    """Return how much of the data file the newest commit may use."""
    with environment.begin() as txn:
        page_bytes: int = txn.stat(environment.open_db(None, txn=txn, create=False))["psize"]
    return (environment.info()["last_pgno"] + 1) * page_bytes


def begin_run(environment: lmdb.Environment, tables: Tables) -> StoreIdentity:
    """Count the boot, take the clean flag away, and draw the store id of a new directory."""
    with environment.begin(write=True, db=tables.meta) as txn:
        if txn.get(b"format") is None:
            txn.put(b"format", pack_u64(FORMAT))
            txn.put(b"store_id", str(uuid.uuid4()).encode())
            txn.put(b"clean", Digests().dump())
        boot = unpack_u64(txn.get(b"boot")) + 1
        txn.put(b"boot", pack_u64(boot))
        was_clean = txn.delete(b"clean")
        store_id = txn.get(b"store_id", b"").decode()
        state = State.load(txn, tables)
    return StoreIdentity(store_id, state.cluster_id, state.number, boot, was_clean)


def digests_of(environment: lmdb.Environment, tables: Tables) -> Digests:
    """Return the digests as a clean stop saved them, else as a scan of all records finds them."""
    with environment.begin() as txn:
        saved = txn.get(b"clean", db=tables.meta)
        if saved is not None:
            return Digests.load(saved)
        digests = Digests()
        floors = State.load(txn, tables).floors
        for key, raw in txn.cursor(db=tables.rec):
            slot = slot_of_key(key)
            digests.apply(change_of(slot, key, None, raw, floors.get(slot, HLC_ZERO)))
        return digests


def open_rounds(environment: lmdb.Environment, tables: Tables) -> dict[bytes, OpenRound]:
    """Return the registers whose newest value is not learned here, by key."""
    with environment.begin(db=tables.reg) as txn:
        rounds = ((key, open_round(raw)) for key, raw in txn.cursor())
        return {key: opened for key, opened in rounds if opened is not None}


def save(environment: lmdb.Environment, tables: Tables, *, digests: Digests) -> None:
    """Write digests and clean flag; nothing may be written after this."""
    with environment.begin(write=True, db=tables.meta) as txn:
        txn.put(b"clean", digests.dump())
