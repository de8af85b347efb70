"""Keeps the index file in step with the store's feed, on demand, off the write path.

It works when a query needs a position, when WAITING_MAX entries wait, or after IDLE_S. Records are
read from the store on the event loop and written to SQLite on one thread, one batch of the feed after
the other, so rows never go backwards. A file that is missing, of another format or store, damaged, or
behind the oldest feed entry is deleted and made again from the records.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from spine_core.records.ids import SLOTS
from spine_node.search.entries import Entry
from spine_node.search.index_file import IndexFile, entries_of
from spine_node.search.limits import IndexLimits
from spine_node.search.recent import Recent
from spine_node.store import Store

WAITING_MAX: Final = 2000
IDLE_S: Final = 1.0  # how old an unindexed change may become while nobody asks

Done = TypeVar("Done")
logger = logging.getLogger("spine.search")


class Indexer:
    """The one writer of the index file. `run` owns it.

    `position` is the feed position that the file shows, None while it is being made; `generation`
    counts the files.
    """

    def __init__(self, store: Store, file: IndexFile, limits: IndexLimits) -> None:
        self._store, self._file, self._limits = store, file, limits
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="indexer")
        self._wake = asyncio.Event()
        self._progress = asyncio.Condition()
        self._wanted = 0  # feed position that somebody waits for
        self._trusted = False  # the open file is known to be sound
        self.position: int | None = None
        self.generation = 0
        self.recent = Recent(limits.remembered_max)

    async def run(self) -> None:
        """Index until cancelled."""
        unwatch = self._store.watch_feed(self._note_feed)
        try:
            await self._trust(await self._on_thread(self._file.open))
            while True:
                try:
                    await self._work()
                except sqlite3.Error as error:
                    logger.warning("index_failed", extra={"error": str(error)})
                    self._trusted = False
                await self._pause()
        finally:
            unwatch()
            self._thread.submit(self._file.close)
            self._thread.shutdown(wait=True)  # at most one batch is under way

    async def reach(self, position: int) -> None:
        """Wait until the file shows a feed position. The caller bounds the time."""
        self._wanted = max(self._wanted, position)
        self._wake.set()
        async with self._progress:
            await self._progress.wait_for(
                lambda: self.position is not None and self.position >= position
            )

    async def forget(self, keys: Sequence[bytes]) -> None:
        """Remove the rows of records that the store was just seen not to hold, without an await."""
        await self._on_thread(
            partial(self._file.write, entries_of((key, None) for key in keys), None)
        )

    def distrust(self, generation: int) -> None:
        """Make the file again: a reader found this one damaged."""
        if generation == self.generation:
            self._trusted, self.position = False, None
            self._wake.set()

    def _note_feed(self, head: int) -> None:
        if self.position is not None and head - self.position >= WAITING_MAX:
            self._wake.set()

    async def _pause(self) -> None:
        """Wait for a reason to work. What failed is tried again when the pause is over."""
        self._wake.clear()
        if self._trusted and self.position is not None and self._wanted > self.position:
            return
        try:
            async with asyncio.timeout(IDLE_S):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _work(self) -> None:
        """Apply the feed up to its head."""
        if not self._trusted:
            await self._rebuild()
        while self._trusted and self.position is not None:
            if self.position >= self._store.feed_head():
                return
            entries = self._store.feed_since(self.position, self._limits.batch)
            if not entries or entries[0].seq != self.position + 1:
                await self._rebuild()  # the feed was cut behind this position
                continue
            keys = list(dict.fromkeys(entry.key for entry in entries))
            await self._show(await self._read(keys), entries[-1].seq)

    async def _read(self, keys: Sequence[bytes]) -> list[Entry]:
        """Read records as the store holds them now; the loop is let go after each slice."""
        entries: list[Entry] = []
        size = self._limits.slice
        for start in range(0, len(keys), size):
            found = [(key, self._store.get(key)) for key in keys[start : start + size]]
            entries += await self._on_thread(partial(entries_of, found))
        return entries

    async def _trust(self, position: int | None) -> None:
        """Go on with a file from before, unless the store is older than that or it is of no use."""
        if position is not None and position <= self._store.feed_head():
            self._trusted = True
            await self._moved_to(position)

    async def _rebuild(self) -> None:
        """Index every record of the store; the position is stored with the last page."""
        logger.info("index_rebuild_begins")
        self.position = None
        self.generation += 1
        head = self._store.feed_head()
        await self._on_thread(self._file.make)
        self.recent.clear()
        for page in self._pages():
            entries = await self._on_thread(partial(entries_of, page))
            await self._on_thread(partial(self._file.write, entries, None))
            self.recent.note(entries)
        await self._show([], head)
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

    async def _show(self, entries: Sequence[Entry], position: int) -> None:
        await self._on_thread(partial(self._file.write, entries, position))
        self.recent.note(entries)
        await self._moved_to(position)

    async def _moved_to(self, position: int) -> None:
        self.position = position
        async with self._progress:
            self._progress.notify_all()

    async def _on_thread(self, work: Callable[[], Done]) -> Done:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
