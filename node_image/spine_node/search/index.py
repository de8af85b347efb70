"""The query index of one store: answers pages of lists about the slots it is told.

Source: api.md §4, §8; protocol.md §12.3.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from spine_core.errors import ProblemError
from spine_core.records.encoding import version_in
from spine_core.records.filters import DEPTH_MAX, parse_filter
from spine_core.records.ids import key_hash
from spine_core.records.versions import Version, ms_of
from spine_node.search.gathering import Gathering
from spine_node.search.index_file import IndexFile
from spine_node.search.indexer import Indexer, IndexUnreadableError
from spine_node.search.limits import LIMITS, IndexLimits
from spine_node.search.messages import QueryCall, QueryPage, slots_of_bytes, slots_to_bytes
from spine_node.search.plan import plan_of
from spine_node.search.readers import Readers, is_listed
from spine_node.search.schema import is_damage
from spine_node.store import DamageLog, Store, key_of, split_key

WINDOW_ROWS: Final = 250  # rows read from SQLite at a time: 2 ms of the loop if all need decoding

logger = logging.getLogger("spine.search")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPorts:
    """Makers of the two that touch SQLite: the writer of a file and its readers."""

    file: Callable[[Path, str], IndexFile] = IndexFile  # of a path, for a store id
    readers: Callable[[Path], Readers] = Readers


PORTS = IndexPorts()


class QueryIndex:
    """One index file with its indexer and readers. The owner runs `run` as a task."""

    def __init__(
        self,
        store: Store,
        path: Path,
        *,
        physical_ms: Callable[[], int],
        limits: IndexLimits = LIMITS,
        ports: IndexPorts = PORTS,
    ) -> None:
        self._store, self._physical_ms, self._limits = store, physical_ms, limits
        self._damage = DamageLog(physical_ms)
        file = ports.file(path, store.identity.store_id)
        self._indexer = Indexer(store, file, self._damage, limits)
        self._readers = ports.readers(path)
        self._generation = 0  # of the file that the readers have open

    async def run(self) -> None:
        """Keep the index in step until cancelled."""
        try:
            await self._indexer.run()
        finally:
            self._readers.close()

    async def answer(self, call: QueryCall, deadline: float) -> QueryPage:
        """Answer one page. `deadline` is in seconds of the event loop.

        Raises:
            ProblemError: `deadline-exceeded`, the index was not there or not fresh in time;
                `not-ready`, its file had to be made again meanwhile, or cannot be written.
        """
        try:
            async with asyncio.timeout_at(deadline):
                generation = await self._ready(self._store.feed_head() if call.fresh else 0)
                page = await self._answer(call)
        except TimeoutError:
            raise ProblemError("deadline-exceeded", "the index did not catch up in time") from None
        except IndexUnreadableError as error:
            raise ProblemError("not-ready", str(error)) from error
        except sqlite3.Error as error:
            if is_damage(error):
                logger.warning("index_unreadable", extra={"error": str(error)})
                self._indexer.distrust(self._generation)
                raise ProblemError("not-ready", "the index is being made again") from error
            raise ProblemError("not-ready", f"the index cannot be used now: {error}") from error
        if generation != self._indexer.generation:
            raise ProblemError("not-ready", "the index is being made again")
        return page

    async def sweep(self) -> int:
        """Forget what the store has purged or dropped since it was indexed; return how much.

        Raises:
            IndexUnreadableError: SQLite failed; what is left over is found the next time.
        """
        try:
            return await self._sweep()
        except sqlite3.Error as error:
            raise IndexUnreadableError(f"the index could not be swept: {error}") from error

    async def _sweep(self) -> int:
        await self._ready(0)
        swept = after = 0
        while page := await self._readers.addresses(after, WINDOW_ROWS):
            after = page[-1].number
            keys = [key_of(each.slot, each.namespace, each.memory_id) for each in page]
            missing = [key for key in keys if self._store.get(key) is None]
            if missing:
                await self._indexer.forget(missing)
            swept += len(missing)
        gone = [key for key in self._indexer.damaged if self._store.get(key) is None]
        if gone:
            await self._indexer.forget(gone)
        return swept

    async def _ready(self, position: int) -> int:
        """Wait for a feed position; return the generation of the file that shows it."""
        await self._indexer.reach(position)
        generation = self._indexer.generation
        if generation != self._generation:
            self._generation = generation
            self._readers.reopen()
        return generation

    async def _answer(self, call: QueryCall) -> QueryPage:
        asked = slots_of_bytes(call.slots)
        # before the walk: what is indexed behind its back is shown, and not on this page
        unknown = tuple(need[0] for need in call.needs if not self._shows(need, asked))
        opened = self._open(call, asked) if call.fresh else ()
        gathered, ended = await self._gather(call)
        for key in gathered.damaged:
            self._damage.note(key)
        return QueryPage(
            candidates=gathered.candidates,
            end=None if ended else gathered.end,
            unknown=unknown,
            lag_ms=self.lag_ms(),
            damaged=slots_to_bytes(self._damaged(call, asked)),
            open=opened,
        )

    def _open(self, call: QueryCall, asked: int) -> tuple[tuple[str, str], ...]:
        """Return the registers with something to learn; before the walk, which may miss what is learned."""
        places = map(split_key, self._store.open_rounds)
        return tuple(
            (namespace, memory_id)
            for slot, namespace, memory_id in places
            if asked >> slot & 1 and is_listed(namespace, call.namespace, subtree=call.subtree)
        )

    def _damaged(self, call: QueryCall, asked: int) -> int:
        """Return the slots, of those asked for, of records that the list cannot show."""
        slots = 0
        for key in self._indexer.damaged:
            slot, namespace, _ = split_key(key)
            if asked >> slot & 1 and is_listed(namespace, call.namespace, subtree=call.subtree):
                slots |= 1 << slot
        return slots

    async def _gather(self, call: QueryCall) -> tuple[Gathering, bool]:
        """Walk until the page is full (false) or the rows end (true)."""
        where = parse_filter(msgspec.json.decode(call.filter), depth_max=2 * DEPTH_MAX)
        plan = plan_of(where, call.order, call.now_ms)
        namespaces = [call.namespace]
        if call.subtree:
            namespaces = await self._readers.namespaces_below(call.namespace)
        gathered = Gathering(self._store, call, where, self._limits, exact=plan.complete)
        rows = min(call.limit, WINDOW_ROWS)
        while not gathered.full:
            window = await self._readers.window(plan, namespaces, gathered.end, rows)
            gathered.take(window)
            if len(window) < rows and (not window or gathered.end == window[-1].position):
                return gathered, True
            rows = WINDOW_ROWS
        return gathered, False

    def _shows(self, need: tuple[int, bytes], asked: int) -> bool:
        """Whether an own write, or a later one, is both indexed and held in a slot asked for.

        Indexed is not enough: a slot that was dropped and is being pulled again may lack it.
        """
        hashed, version = need
        key = self._indexer.recent.key_of(Version(version))
        if key is None or key in self._indexer.damaged:
            return False
        slot, namespace, memory_id = split_key(key)
        if key_hash(namespace, memory_id) != hashed or not asked >> slot & 1:
            return False
        raw = self._store.get(key)
        return raw is not None and version_in(raw) >= version

    def lag_ms(self) -> int:
        """Return the age of the oldest change that the index does not show."""
        position = self._indexer.position or 0
        if position >= self._store.feed_head():
            return 0
        (oldest,) = self._store.feed_since(position, 1)
        return max(0, self._physical_ms() - ms_of(oldest.append_hlc))
