"""Keeps the index file in step with the store's feed, on demand, off the write path.

It works when a query needs a position, when WAITING_MAX entries wait, or IDLE_S after a change. Records
are read from the store on the event loop and written to SQLite on one thread, one batch of the feed
after the other, so rows never go backwards. A file that is missing, of another format or store,
damaged, or behind the oldest feed entry is deleted and made again from the records. One that cannot be
written, for a disk that is full, is kept and tried again.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from spine_core.errors import SpineError
from spine_core.records.ids import SLOTS
from spine_node.search.entries import Entry
from spine_node.search.index_file import IndexFile, entries_of
from spine_node.search.limits import IndexLimits
from spine_node.search.recent import Recent
from spine_node.search.schema import is_damage
from spine_node.store import CursorExpiredError, DamageLog, FeedEntry, Store
from spine_node.threads import show_thread_name

WAITING_MAX: Final = 2000
IDLE_S: Final = 1.0  # how old an unindexed change may become while nobody asks
RETRY_MAX_S: Final = 10.0  # a rebuild that a full disk ends again and again costs much

Done = TypeVar("Done")
logger = logging.getLogger("spine.search")


class IndexUnreadableError(SpineError):
    """SQLite could not do its part; the records are not touched by it."""


class Indexer:
    """The one writer of the index file. `run` owns it.

    `position` is the feed position that the file shows, None while it is being made; `generation`
    counts the files. `stuck`: the newest attempt to write failed.
    """

    def __init__(
        self, store: Store, file: IndexFile, damage: DamageLog, limits: IndexLimits
    ) -> None:
        self._store, self._file, self._damage, self._limits = store, file, damage, limits
        self._thread = ThreadPoolExecutor(
            1, thread_name_prefix="indexer", initializer=show_thread_name
        )
        self._feed = store.subscribe(store.feed_head())  # from where the file is, once it is open
        self._progress = asyncio.Condition()
        self._wanted = 0  # feed position that somebody waits for
        self._opened = False
        self._trusted = False  # the open file is known to be sound
        self.stuck = False
        self.position: int | None = None
        self.generation = 0
        self.recent = Recent(limits.remembered_max)

    @property
    def damaged(self) -> frozenset[bytes]:
        """The keys of records that are held, and cannot be read: no row shows them as they are."""
        return self._file.damaged

    async def run(self) -> None:
        """Index until cancelled."""
        failures = 0
        try:
            while True:
                try:
                    await self._work()
                except sqlite3.Error as error:
                    await self._failed(error, failures)
                    failures += 1
                else:
                    failures, self.stuck = 0, False
                    await self._pause()
        finally:
            self._feed.close()
            self._thread.submit(self._file.close)
            self._thread.shutdown(wait=True)  # at most one batch is under way

    async def reach(self, position: int) -> None:
        """Wait until the file shows a feed position. The caller bounds the time.

        Raises:
            IndexUnreadableError: it does not, and cannot be written.
        """
        self._wanted = max(self._wanted, position)
        self._feed.wake()
        async with self._progress:
            await self._progress.wait_for(lambda: self._shows(position) or self.stuck)
        if not self._shows(position):
            raise IndexUnreadableError("the index cannot be written now")

    async def forget(self, keys: Sequence[bytes]) -> None:
        """Remove the rows of records that the store was just seen not to hold, without an await."""
        await self._on_thread(
            partial(self._file.write, entries_of((key, None) for key in keys), None)
        )

    def distrust(self, generation: int) -> None:
        """Make the file again: a reader found this one damaged."""
        if generation == self.generation:
            self._trusted, self.position = False, None
            self._feed.wake()

    def _shows(self, position: int) -> bool:
        return self.position is not None and self.position >= position

    async def _failed(self, error: sqlite3.Error, failures: int) -> None:
        """Take note, and wait: also for a disk that is full there is nothing to do but that."""
        logger.warning("index_failed", extra={"error": str(error)})
        if is_damage(error):
            self._opened, self._trusted = True, False
        self.stuck = True
        await self._tell()
        try:
            async with asyncio.timeout(min(self._limits.retry_s * 2**failures, RETRY_MAX_S)):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            return

    async def _pause(self) -> None:
        """Wait for a reason to work."""
        await self._feed.wait()
        if not self._trusted or not self._shows(self._wanted):
            return
        try:
            async with asyncio.timeout(IDLE_S):
                await self._feed.wait(WAITING_MAX)
        except TimeoutError:
            return

    async def _work(self) -> None:
        """Apply the feed up to its head."""
        if not self._opened:
            position = await self._on_thread(self._file.open)
            self._opened = True
            if position is not None and self._follows(position):
                self._trusted = True
                await self._moved_to(position)
        if not self._trusted:
            await self._rebuild()
        while self._trusted:
            try:
                entries = self._feed.read(self._limits.batch)
            except CursorExpiredError:
                await self._rebuild()
                continue
            if not entries:
                return
            keys = list(dict.fromkeys(entry.key for entry in entries))
            await self._show(await self._read(keys), entries)
            self._feed.advance(entries[-1].seq)

    def _follows(self, position: int) -> bool:
        """Follow the feed behind a position; false when it does not lead on from there."""
        try:
            followed = self._store.subscribe(position)
        except CursorExpiredError:
            return False
        self._feed.close()
        self._feed = followed
        return True

    async def _read(self, keys: Sequence[bytes]) -> list[Entry]:
        """Read records as the store holds them now; the loop is let go after each slice."""
        entries: list[Entry] = []
        size = self._limits.slice
        for start in range(0, len(keys), size):
            found = self._store.get_many(keys[start : start + size])
            entries += await self._on_thread(partial(entries_of, found))
        return entries

    async def _rebuild(self) -> None:
        """Index every record of the store; the position is stored with the last page."""
        logger.info("index_rebuild_begins")
        self.position = None
        self.generation += 1
        head = self._store.feed_head()
        self._feed.close()
        self._feed = self._store.subscribe(head)
        await self._on_thread(self._file.make)
        self.recent.clear()
        for page in self._pages():
            entries = await self._on_thread(partial(entries_of, page))
            await self._on_thread(partial(self._file.write, entries, None))
            self._note_damage(entries)
            self.recent.note((entry.version, entry.key) for entry in entries)
        await self._on_thread(partial(self._file.write, [], head))
        await self._moved_to(head)
        self._trusted = True
        logger.info("index_rebuild_ends", extra={"position": head})

    def _pages(self) -> Iterator[list[tuple[bytes, bytes]]]:
        """Yield all records; a page is what is read without a pause."""
        records, size = self._limits.scan_records, self._limits.scan_bytes
        page: list[tuple[bytes, bytes]] = []
        for slot in range(SLOTS):  # a cluster of fewer leaves the rest empty
            after: bytes | None = None
            while True:
                found, after = self._store.scan(slot, after, records, size)
                page += found
                if len(page) >= records or after is not None:
                    yield page
                    page = []
                if after is None:
                    break
        yield page

    async def _show(self, shown: Sequence[Entry], changes: Sequence[FeedEntry]) -> None:
        """Bring the records of these changes into the file, and let the waiting know."""
        position = changes[-1].seq
        await self._on_thread(partial(self._file.write, shown, position))
        self._note_damage(shown)
        self.recent.note((change.version, change.key) for change in changes)
        await self._moved_to(position)

    def _note_damage(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.damaged:
                self._damage.note(entry.key)

    async def _moved_to(self, position: int) -> None:
        self.position = position
        await self._tell()

    async def _tell(self) -> None:
        async with self._progress:
            self._progress.notify_all()

    async def _on_thread(self, work: Callable[[], Done]) -> Done:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
