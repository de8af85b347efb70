"""One watch: reads the feeds of a few stores side by side and hands their news on, piece by piece.

Nothing is read that nobody takes: each source has one call under way, begun when the watch is asked
for more. So a client that does not read holds neither memory nor a feed.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from spine_core.errors import CorruptRecordError, ProblemError
from spine_core.records.encoding import FLAG_PRUNED, FLAG_TOMBSTONE, Record, decode
from spine_core.records.filters import EMPTY, matches
from spine_core.replication.watch_cursor import WatchProgress, assignment, seal_cursor
from spine_core.scalars import StoreNumber
from spine_node.clock import Clock
from spine_node.engine.query.coverage import slots_read_from
from spine_node.engine.watch.feed_server import FeedCall, FeedEdge, FeedRecord, FeedReply
from spine_node.engine.watch.sources import ANSWER_S, Feeds, Unanswered, all_slots
from spine_node.engine.watch.watched import Watched
from spine_node.ports import Changes, EventKind, WatchEvent, WatchRequest, lease_owner
from spine_node.search.entries import memory_of
from spine_node.search.messages import slots_to_bytes
from spine_node.store import checksum, split_key
from spine_node.store.layout import slot_of_key

POLL_S = 2.0  # one call waits for news; a store that hangs is noticed ANSWER_S later
AVOIDED_S = 1.0  # a store that did not answer is not followed for
PAUSE_S = 0.05  # before the same is tried again
DAMAGED_S = 2.0  # a quorum read in the place of a damaged copy may take


class QuorumReader(Protocol):
    """Reads what a damaged copy should have said."""

    async def quorum(self, namespace: str, memory_id: str, deadline: float) -> Record | None:
        """Return the latest acknowledged version of a record.

        Raises:
            ProblemError: there is no quorum.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchParts:
    """What all watches of a node share."""

    feeds: Feeds
    reads: QuorumReader
    clock: Clock
    cursor_keys: Callable[[], Sequence[bytes]]
    leaving: Callable[[], str | None]  # why watches go to another node now


class OpenWatch:
    """The `Watch` of `spine_node.ports`. `begin`, then `next` again and again, then `close`."""

    def __init__(
        self,
        parts: WatchParts,
        request: WatchRequest,
        progress: WatchProgress,
        edge: FeedEdge,
        on_close: Callable[["OpenWatch"], None],
    ) -> None:
        """`edge`: where feeds are read from that have no position yet."""
        self._parts, self._request, self._progress = parts, request, progress
        self._edge, self._on_close = edge, on_close
        self._clock, self._feeds = parts.clock, parts.feeds
        self._view = parts.feeds.view()
        self._watched = Watched(
            request.namespace,
            request.scope == "subtree",
            bool(request.events & {"put", "delete"}),
            "lease" in request.events,
        )
        self._calls: dict[StoreNumber, asyncio.Task[FeedReply | Unanswered]] = {}
        self._avoided: dict[StoreNumber, float] = {}  # store → until when
        self._failing: dict[StoreNumber, float] = {}  # store → since when it is of another epoch
        self._behind: set[StoreNumber] = set()  # sources not read to their heads
        self._whole_at = self._clock.now()  # when there were none of those
        self._ended = False

    @property
    def cursor(self) -> str:
        """Where a client goes on that has seen everything up to here."""
        return seal_cursor(self._progress.cursor(self._view.epoch), self._parts.cursor_keys()[0])

    def lag_s(self) -> float:
        """Return for how long some feed was not read to its head; 0 while news is waited for."""
        waiting = self._calls.keys() >= self._progress.sources.keys() and not self._behind
        return 0.0 if waiting and self._progress.complete else self._clock.now() - self._whole_at

    async def begin(self, deadline: float) -> None:
        """Find the stores to follow, and where their feeds begin.

        Raises:
            ProblemError: `coverage-incomplete`, `not-ready`.
        """
        while True:
            self._view = self._feeds.view()
            self._ended |= not self._follow()
            if self._progress.complete and await self._found_edges():
                return
            if self._clock.now() >= deadline:
                detail = "some slots have no replica that answers (Spine-Timeout-Ms)"
                raise ProblemError("coverage-incomplete", detail)
            await self._clock.sleep(PAUSE_S)

    async def next(self, limit: int, wait_s: float) -> Changes:
        """Return at most `limit` events, as soon as there is one, or none after `wait_s`.

        Raises:
            ProblemError: `not-ready`, `coverage-incomplete`.
        """
        deadline = self._clock.now() + wait_s
        to_answer = set(self._progress.sources)  # each is heard once, also without time to wait
        while self._in_order() and not self._ended and self._parts.leaving() is None:
            to_answer &= self._progress.sources.keys()
            left_s = deadline - self._clock.now()
            if left_s <= 0 and (not to_answer or left_s < -ANSWER_S):
                return Changes(cursor=self.cursor)
            store, reply = await self._answer(
                self._progress.sources if left_s > 0 else to_answer, limit, max(0.0, left_s)
            )
            if store is None:
                continue
            if isinstance(reply, FeedReply):
                if reply.at_head:
                    to_answer.discard(store)
                changes = await self._taken(store, reply)
                if changes is not None:
                    return changes
            elif not await self._failed_at(store, reply):
                to_answer.discard(store)
        return Changes(cursor=self.cursor, ended=True)

    async def close(self) -> None:
        """Give everything back."""
        self._on_close(self)
        calls = tuple(self._calls.values())
        self._drop_calls()
        await asyncio.gather(*calls, return_exceptions=True)

    # sources

    def _in_order(self) -> bool:
        """Follow other stores where that has become necessary; return whether versions never go back."""
        if self._feeds.is_current(self._view) and self._progress.complete:
            return True
        self._view = self._feeds.view()
        return self._follow()

    def _follow(self) -> bool:
        """Choose the stores to follow; return whether versions still never go back."""
        now, placement = self._clock.now(), self._view.placement
        self._avoided = {store: until for store, until in self._avoided.items() if until > now}
        chosen = self._feeds.choose(self._view, list(self._progress.sources), self._avoided)
        assigned = assignment(slots_read_from(placement), chosen)
        complete = sum(assigned.values()) == all_slots(placement)  # no slot is there twice
        self._drop_calls()
        self._behind &= assigned.keys()
        return self._progress.follow(assigned, complete=complete)

    async def _found_edges(self) -> bool:
        """Resolve `now` and `beginning` at every source; return whether all have answered."""
        if self._edge is FeedEdge.AFTER:
            return True
        for store, source in self._progress.sources.items():
            reply = await self._feeds.read(self._view, store, self._call(store, 0, 0.0))
            if not isinstance(reply, FeedReply):
                if reply is Unanswered.LOST:
                    self._avoid(store)
                return False
            source.position = reply.position
        self._edge = FeedEdge.AFTER
        return True

    def _call(self, store: StoreNumber, limit: int, wait_s: float) -> FeedCall:
        # Stable time is taken here, before the read: what it speaks of is in the feed that is read.
        begin = self._progress.ask(store, self._feeds.stable(self._view))
        return FeedCall(
            watched=self._watched,
            slots=slots_to_bytes(self._progress.sources[store].slots),
            edge=self._edge if begin.position is None else FeedEdge.BEHIND,
            position=begin.position or 0,
            after=begin.after,
            limit=limit,
            wait_ms=ceil(wait_s * 1000),  # a wait of 0 would end at once, again and again
        )

    async def _answer(
        self, stores: Iterable[StoreNumber], limit: int, left_s: float
    ) -> tuple[StoreNumber | None, FeedReply | Unanswered]:
        """Have these stores under way, and return the first answer of any."""
        for store in stores:
            if store in self._progress.sources and store not in self._calls:
                call = self._call(store, limit, min(POLL_S, left_s))
                reading = self._feeds.read(self._view, store, call)
                self._calls[store] = asyncio.create_task(reading)
        if not self._calls:
            await self._clock.sleep(PAUSE_S)
            return None, Unanswered.LOST
        await asyncio.wait(
            set(self._calls.values()),
            timeout=left_s + ANSWER_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for store, under_way in self._calls.items():
            if under_way.done():
                del self._calls[store]
                return store, under_way.result()
        return None, Unanswered.LOST

    async def _failed_at(self, store: StoreNumber, why: Unanswered) -> bool:
        """Go over to another store; return whether this one is asked again instead.

        Epochs differ for a moment whenever a document comes, so that is no failure at first.
        """
        since = self._failing.setdefault(store, self._clock.now())
        self._behind.add(store)
        if why is Unanswered.OTHER_EPOCH and self._clock.now() - since < ANSWER_S:
            await self._clock.sleep(PAUSE_S)
            return True
        del self._failing[store]
        self._avoid(store)
        self._ended |= not self._follow()
        return False

    def _avoid(self, store: StoreNumber) -> None:
        self._avoided[store] = self._clock.now() + AVOIDED_S

    def _drop_calls(self) -> None:
        for call in self._calls.values():
            call.cancel()
        self._calls.clear()

    # events

    async def _taken(self, store: StoreNumber, reply: FeedReply) -> Changes | None:
        """Return what an answer amounts to, None when that is no news."""
        if reply.expired:
            return await self._reset()
        self._failing.pop(store, None)
        slots = self._progress.sources[store].slots
        mine = [each for each in reply.entries if slots >> slot_of_key(each.key) & 1]
        events: list[WatchEvent] = []
        cursor = self.cursor
        for entry in self._progress.take(store, mine, reply.position, at_head=reply.at_head):
            try:
                event = await self._event(entry)
            except ProblemError:  # a damaged copy, and no quorum: the client comes back before it
                return Changes(events=events, cursor=cursor, ended=True)
            if event is not None:
                events.append(event)
                cursor = event.cursor
        (self._behind.discard if reply.at_head else self._behind.add)(store)
        if not self._behind:
            self._whole_at = self._clock.now()
        return Changes(events=events, cursor=self.cursor) if events else None

    async def _reset(self) -> Changes:
        """Go on from now: what lay between is no longer kept."""
        self._progress.restart(self._feeds.stable(self._view))
        self._edge = FeedEdge.HEAD
        await self.begin(self._clock.now() + ANSWER_S)
        return Changes(cursor=self.cursor, reset=True, ended=self._ended)

    async def _event(self, entry: FeedRecord) -> WatchEvent | None:
        """Return the event of an entry, None when nobody asked for it.

        Raises:
            ProblemError: the copy is damaged, and no quorum has another.
        """
        _, namespace, memory_id = split_key(entry.key)
        owner = lease_owner(namespace)
        record = await self._record(entry, namespace, memory_id)
        deleted = record is None or bool(record.flags & FLAG_TOMBSTONE)
        kind: EventKind = "lease" if owner is not None else "delete" if deleted else "put"
        if kind not in self._request.events:
            return None
        if kind == "put" and self._request.filter is not EMPTY:
            assert record is not None, "it is live"
            memory = memory_of(namespace, memory_id, record)
            if not matches(self._request.filter, memory, self._clock.physical_ms()):
                return None
        pruned = record is not None and bool(record.flags & FLAG_PRUNED)
        return WatchEvent(
            kind=kind,
            namespace=namespace if owner is None else owner,
            memory_id=memory_id,
            version=entry.version if record is None else record.version,
            record=None if deleted else record,
            reason=("pruned" if pruned else "deleted") if kind == "delete" else None,
            cursor=self.cursor,
        )

    async def _record(self, entry: FeedRecord, namespace: str, memory_id: str) -> Record | None:
        """Return the record of an entry; a damaged copy is never absence: a quorum tells."""
        if entry.record is None:
            return None
        try:
            return decode(entry.record, checksum)
        except CorruptRecordError:
            deadline = self._clock.now() + DAMAGED_S
            found = await self._parts.reads.quorum(namespace, memory_id, deadline)
        if found is not None:
            self._progress.note_shown(entry.key, found.version)
        return found
