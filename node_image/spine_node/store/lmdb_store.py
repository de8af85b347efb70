"""The store of one node: records, registers, feed, floors and topology document in one directory.

Reads run on the event loop, a few µs each, and hold no transaction across an `await`. Everything
that writes goes through `submit` to the one writer thread and is durable before its future resolves.
LMDB is opened with fsync and without `writemap`: a full disk must not kill the process.
Source: protocol.md §2.5, §15, §20 (16).
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import lmdb

from spine_core.records.encoding import version_in
from spine_core.records.hlc import HybridClock
from spine_core.records.versions import Version
from spine_core.scalars import HLC_ZERO, Hlc
from spine_node.store import opening
from spine_node.store.committer import Committer
from spine_node.store.digests import Digests, bucket_of
from spine_node.store.draft import Effects, OpenRound, open_round
from spine_node.store.errors import (
    CursorExpiredError,
    StorageError,
    StoreBusyError,
    StoreClosedError,
)
from spine_node.store.feed import FeedEntry, oldest_position, position_after, unpack_row
from spine_node.store.layout import (
    CHECKPOINT,
    DATA_FILE,
    MAP_BYTES,
    Database,
    open_tables,
    pack_u64,
    slot_of_key,
    slot_prefix,
    unpack_u64,
)
from spine_node.store.operations import Asked, Barrier, DropSlot, ReplyT, StoredEntry
from spine_node.store.space import Space
from spine_node.store.store_ports import StorePorts
from spine_node.store.subscription import FeedListener, Subscription
from spine_node.store.walks import joined, rows
from spine_node.store.writer import StoreWriter

logger = logging.getLogger("spine.store")

DROPS_AT_ONCE = 8  # slots: a piece of each, some ms of the writer


def _ignore(looked: asyncio.Future[None]) -> None:
    """Whether the writer could look shows in `failure` and `is_full`."""
    if not looked.cancelled():
        looked.exception()


REAL = StorePorts()


def open_store(
    path: Path,
    *,
    clock: HybridClock,
    physical_ms: Callable[[], int],
    quota_bytes: int = MAP_BYTES,
    map_bytes: int = MAP_BYTES,
    ports: StorePorts = REAL,
) -> "Store":
    """Open or create the store in a directory. Needs a running event loop.

    `clock` is set to at least the high-water mark. After an unclean stop all records are scanned
    once.

    Raises:
        StoreLockedError: another process has the directory.
        StoreFormatError: it holds another format.
        StoreDamagedError: its data file is not whole.
        StorageFullError: its disk is full.
        StorageError: LMDB cannot open it.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)  # memories are nobody else's
    with ExitStack() as stack:
        stack.enter_context(opening.lock_directory(path))
        environment = opening.open_environment(path, map_bytes)
        stack.callback(environment.close)
        disk = ports.disk(path / DATA_FILE, partial(opening.bytes_in_use, environment))
        stack.callback(disk.close)
        with opening.reading(path / DATA_FILE, disk):
            opening.check_format(environment, path)
            tables = open_tables(environment)
            digests = opening.digests_of(environment, tables)
            rounds = opening.open_rounds(environment, tables)
            identity = opening.begin_run(environment, tables)
        for directory in (path, path.parent):
            opening.sync_directory(directory)
        database = Database(environment, tables)
        committer = Committer(
            database,
            clock=clock,
            physical_ms=physical_ms,
            quota_bytes=quota_bytes,
            disk=disk,
            failpoint=ports.failpoint,
        )
        clock.last = max(clock.last, committer.state.high_water)
        writer = ports.writer(committer.perform, ports.failpoint)
        contents = Contents(digests, rounds)
        return Store(database, identity, contents, committer, writer, stack.pop_all())


class Contents(NamedTuple):
    """What is known of the records in memory."""

    digests: Digests
    rounds: dict[bytes, OpenRound]


class Store:
    """An open store. Event loop only; every attribute is as of the last commit."""

    def __init__(
        self,
        database: Database,
        identity: opening.StoreIdentity,
        contents: "Contents",
        committer: Committer,
        writer: StoreWriter[Effects],
        resources: ExitStack,
    ) -> None:
        state = committer.state
        self.identity = identity
        self.hlc_high_water = state.high_water  # at open
        self.document = state.document  # canonical JSON, None before the first
        self.epoch = state.epoch  # 0: no document yet
        self.owned = state.owned  # slots that reads and writes may touch in this epoch
        self._environment, self._tables = database
        self._data_file = Path(self._environment.path()) / DATA_FILE
        self._rec = self._tables.rec
        self._digests = contents.digests
        self.open_rounds = contents.rounds  # key → round whose value is not learned here
        self._floors = dict(state.floors)
        self._feed_head = state.feed_head
        self._feed_listeners: list[FeedListener] = []
        self._resources = resources
        self._committer = committer
        self._writer = writer
        writer.start(self._publish)

    @property
    def failure(self) -> StorageError | None:
        """Why no more writes are taken; None while all is well. A restart reads the disk anew."""
        return self._writer.failure

    @property
    def is_full(self) -> bool:
        """Clients' writes are refused for lack of space; reads and deletions go on."""
        return self._committer.space is not Space.FREE

    def check_space(self) -> None:
        """Have the writer look again when space was or is short; to be called every second or so.

        Without it a disk that has space again would stay full, as nobody writes to a full store.
        """
        if self.is_full or self._committer.space_on_disk() is not Space.FREE:
            with suppress(StoreBusyError, StoreClosedError):
                self._writer.submit(Barrier()).add_done_callback(_ignore)

    def get(self, key: bytes) -> bytes | None:
        """Return a stored record, tombstones included."""
        with self._environment.begin(db=self._rec) as txn:
            return txn.get(key)

    def get_with_register(self, key: bytes) -> tuple[bytes | None, bytes | None]:
        """Return a stored record, and its acceptor state where that has something to learn.

        Both are of one moment: a value is in neither of them while it moves from one to the other.
        """
        if not self._committer.state.registers:
            return self.get(key), None
        with self._environment.begin(db=self._rec) as txn:
            raw, register = txn.get(key), txn.get(key, db=self._tables.reg)
        if register is not None and open_round(register) is None:
            register = None
        return raw, register

    def get_many(self, keys: Sequence[bytes]) -> list[tuple[bytes, bytes | None]]:
        """Return (key, stored record) of each key, all of one moment, at a third of the cost."""
        with self._environment.begin(db=self._rec) as txn:
            return [(key, txn.get(key)) for key in keys]

    def floor(self, slot: int) -> Hlc:
        """Return the purge floor of a slot, an HLC value; it never falls."""
        return self._floors.get(slot, HLC_ZERO)

    def digest(self, slot: int) -> list[int]:
        """Return the 64 bucket digests of a slot, each below 2^128."""
        return self._digests.buckets(slot)

    def root(self, slot: int) -> bytes:
        """Return the digest of a slot in 16 bytes."""
        return self._digests.root(slot)

    def slot_stats(self, slot: int) -> tuple[int, int]:
        """Return (records, bytes) held of a slot, tombstones included."""
        return self._digests.size(slot)

    def pull_checkpoint(self, slot: int) -> bytes | None:
        """Return how far a pull of the slot has come."""
        with self._environment.begin(db=self._tables.slot) as txn:
            return txn.get(slot_prefix(slot) + CHECKPOINT)

    def scan(
        self, slot: int, after: bytes | None, limit_records: int, limit_bytes: int
    ) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
        """Return a page of (key, raw) behind `after` in key order, and where the next page starts.

        The page ends with the record that reaches a limit; the cursor is None at the end.
        """
        page: list[tuple[bytes, bytes]] = []
        size = 0
        for key, raw in self._records(slot, after):
            if len(page) >= limit_records or size >= limit_bytes:
                return page, page[-1][0]
            page.append((key, raw))
            size += len(key) + len(raw)
        return page, None

    def register(self, key: bytes) -> bytes | None:
        """Return the stored acceptor state of a record."""
        with self._environment.begin(db=self._tables.reg) as txn:
            return txn.get(key)

    def oldest_unlearned(self) -> Hlc | None:
        """Return the lowest time of a value that was accepted here and not learned.

        The value may be older than its round: one that changes nothing hands on what it has found.
        """
        rounds = self.open_rounds.items()
        owned = (one.since for key, one in rounds if slot_of_key(key) in self.owned)
        return min(filter(None, owned), default=None)

    def entry(self, key: bytes) -> StoredEntry:
        """Return what a pull carries of a key: record and acceptor state as of one moment."""
        with self._environment.begin(db=self._rec) as txn:
            return StoredEntry(key, txn.get(key), txn.get(key, db=self._tables.reg))

    def entries(
        self, slot: int, after: bytes | None, limit_records: int, limit_bytes: int
    ) -> tuple[list[StoredEntry], bytes | None]:
        """Return a page of a slot as `scan` does, with what a pull carries of each key.

        All is of one moment; a key that has acceptor state only is an entry too.
        """
        prefix = slot_prefix(slot)
        page: list[StoredEntry] = []
        size = 0
        with self._environment.begin(db=self._rec) as txn:
            begin = prefix if after is None else after + b"\x00"
            records = rows(txn.cursor(), prefix, begin)
            registers = rows(txn.cursor(db=self._tables.reg), prefix, begin)
            for key, record, register in joined(records, registers):
                if len(page) >= limit_records or size >= limit_bytes:
                    return page, page[-1].key
                page.append(StoredEntry(key, record, register))
                size += len(key) + len(record or b"") + len(register or b"")
        return page, None

    def scan_versions(
        self, slot: int, buckets: Collection[int], after: bytes | None, limit: int
    ) -> list[tuple[bytes, Version]]:
        """Return (key, version) of the records in some buckets, in key order, at most `limit`."""
        found: list[tuple[bytes, Version]] = []
        for key, raw in self._records(slot, after):
            if bucket_of(key) in buckets:
                found.append((key, version_in(raw)))
                if len(found) == limit:
                    break
        return found

    def _records(self, slot: int, after: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        prefix = slot_prefix(slot)
        with self._environment.begin(db=self._rec) as txn:
            yield from rows(txn.cursor(), prefix, prefix if after is None else after + b"\x00")

    def feed_head(self) -> int:
        """Return the sequence number of the newest entry, 0 before the first."""
        return self._feed_head

    def feed_since(self, seq: int, limit: int) -> list[FeedEntry]:
        """Return the entries above `seq`, oldest first, at most `limit`."""
        found: list[FeedEntry] = []
        with self._environment.begin(db=self._tables.feed) as txn:
            cursor = txn.cursor()
            if not cursor.set_range(pack_u64(seq + 1)):
                return found  # iterating now would begin at the first row
            for key, row in cursor:
                found += (entry for entry in unpack_row(unpack_u64(key), row) if entry.seq > seq)
                if len(found) >= limit:
                    break
        return found[:limit]

    def feed_oldest(self) -> int:
        """Return the position before the oldest entry that is kept."""
        with self._environment.begin(db=self._tables.feed) as txn:
            return min(oldest_position(txn.cursor()), self._feed_head)

    def feed_position_after(self, hlc: Hlc) -> int:
        """Return the position before the first entry that was appended after a time.

        Raises:
            CursorExpiredError: some of those that were are no longer kept.
        """
        with self._environment.begin(db=self._tables.feed) as txn:
            position = position_after(txn.cursor(), hlc)
        if position is None:
            raise CursorExpiredError(0, self._feed_head)
        return min(position, self._feed_head)

    def subscribe(self, after: int) -> Subscription:
        """Follow the feed behind a position; close the subscription at the end.

        Raises:
            CursorExpiredError: the feed does not lead on from there.
        """
        return Subscription(self, after)

    def watch_feed(self, listener: FeedListener) -> Callable[[], None]:
        """Call `listener` after each commit that changed records; the result ends it.

        It runs before the commit's acknowledgements leave and must be quick.
        """
        self._feed_listeners.append(listener)
        return lambda: self._feed_listeners.remove(listener)

    def submit(self, operation: Asked[ReplyT]) -> asyncio.Future[ReplyT]:
        """Queue an operation; its future resolves when the reply is durable.

        Cancelling the future does not take the operation back.

        Raises:
            StoreBusyError: too many wait.
            StoreClosedError: the store was closed, or its disk failed.
        """
        return self._writer.submit(operation)

    async def drop(self, slots: Iterable[int], epoch: int) -> None:
        """Remove slots that this store does not own in an epoch, piece by piece (`DropSlot`).

        A few at a time: all at once would be one transaction, and clients' writes wait behind it.
        """

        async def drop_one(slot: int) -> None:
            while (await self.submit(DropSlot(slot, epoch))).more:
                pass

        left = list(slots)
        while left:
            await asyncio.gather(*map(drop_one, left[:DROPS_AT_ONCE]))
            del left[:DROPS_AT_ONCE]

    def _publish(self, effects: Effects) -> None:
        """Let a commit be seen; the writer acknowledges it after this."""
        for change in effects.changes:
            self._digests.apply(change)
        self._floors.update(effects.floors)
        for key, opened in effects.rounds.items():
            if opened is None:
                self.open_rounds.pop(key, None)
            else:
                self.open_rounds[key] = opened
        if effects.adopted is not None:
            self.epoch = effects.adopted.epoch
            self.document = effects.adopted.document
            self.owned = effects.adopted.owned
            self.identity = self.identity.adopted(effects.adopted)
        if effects.feed_head > self._feed_head:
            self._feed_head = effects.feed_head
            for listener in self._feed_listeners:
                listener(effects.feed_head)

    async def close(self, *, clean: bool = True) -> None:
        """Finish what is queued and give the directory up; a clean stop saves the digests."""
        await self._writer.close()
        if clean and self.failure is None:
            try:
                await asyncio.to_thread(
                    opening.save, self._environment, self._tables, digests=self._digests
                )
            except lmdb.Error as error:  # a full disk; the next start scans the records instead
                logger.warning("digests_not_saved", extra={"why": str(error)})
            opening.lengthen(self._data_file, opening.bytes_in_use(self._environment))
        self._resources.close()
