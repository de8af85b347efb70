"""The serving half of watches: what is new in this store's feed, with the records that belong to it.

A call is a long poll. Only keys are looked at, records are read for what is watched alone; a record
that has changed again is left to the later entry. Own watches call it too, so there is one way to read.
"""

from enum import StrEnum

import msgspec

from spine_core.records.encoding import version_in
from spine_core.records.versions import Version
from spine_core.scalars import Hlc
from spine_node.clock import Clock
from spine_node.engine.cluster.replica import Replica
from spine_node.engine.watch.feed_tail import ENTRIES_AT_ONCE, FeedTail
from spine_node.engine.watch.watched import Watched
from spine_node.links.frames import CallHeader
from spine_node.links.methods import Method
from spine_node.search.messages import slots_of_bytes
from spine_node.store import CursorExpiredError, Store
from spine_node.store.layout import namespace_of_key, slot_of_key
from spine_node.store.subscription import entries_behind

PIECE_BYTES_MAX = 1024 * 1024  # of the records in one answer, but for the last of them
PIECES_WITHOUT_NEWS = 50  # of the feed that one call looks at: then the caller hears how far it is


class FeedEdge(StrEnum):
    """Where a read begins."""

    BEHIND = "behind"  # a position
    AFTER = "after"  # the first entry appended after a time
    OLDEST = "oldest"  # all that is kept
    HEAD = "head"  # what is still to come


class FeedCall(msgspec.Struct, array_like=True, frozen=True):
    """A piece of one store's feed."""

    watched: Watched
    slots: bytes  # bitmap of those that the caller follows here
    edge: FeedEdge
    position: int
    after: Hlc
    limit: int  # entries wanted; 0 asks for the position alone
    wait_ms: int  # for the first of them


class FeedRecord(msgspec.Struct, array_like=True, frozen=True):
    """One entry and its record, None when it was purged."""

    seq: int
    key: bytes
    version: Version
    record: bytes | None


class FeedReply(msgspec.Struct, array_like=True, frozen=True):
    """What is watched, of all entries up to a position."""

    position: int
    at_head: bool
    entries: list[FeedRecord]
    expired: bool = False  # the feed does not lead on from where the call begins


FEED = Method("feed", request=FeedCall, reply=FeedReply)
_EXPIRED = FeedReply(0, False, [], True)


class FeedServer:
    """The `feed` of one store."""

    def __init__(self, store: Store, replica: Replica, clock: Clock) -> None:
        self._store, self._replica, self._clock = store, replica, clock
        self._tail = FeedTail(store, clock)

    def wake(self) -> None:
        """Answer every call that waits."""
        self._tail.wake()

    async def serve(self, call: FeedCall, header: CallHeader) -> FeedReply:
        """Serve `feed`."""
        return await self.read(call, header.epoch)

    async def read(self, call: FeedCall, epoch: int) -> FeedReply:
        """Answer a call under an epoch, once there is news or its time is over.

        Raises:
            RefusedCallError: this store is of another epoch.
        """
        piece = await self._news(call, epoch)
        if piece.entries or piece.expired or not piece.at_head or not call.wait_ms:
            return piece
        position = await self._tail.wait(call.watched, piece.position, call.wait_ms / 1000)
        return await self._news(_behind(call, position), epoch)

    async def _news(self, call: FeedCall, epoch: int) -> FeedReply:
        """Read on until there is news, the head, or enough for one call."""
        for _ in range(PIECES_WITHOUT_NEWS):
            piece = self._piece(call, epoch)
            if piece.entries or piece.at_head or piece.expired or not call.limit:
                break
            call = _behind(call, piece.position)
            await self._clock.sleep(0)
        return piece

    def _piece(self, call: FeedCall, epoch: int) -> FeedReply:
        """Read one piece; no await stands between the look at the epoch and it (R1)."""
        self._replica.check_epoch(epoch)
        try:
            position = self._begin(call)
            if not call.limit:
                return FeedReply(position, position == self._store.feed_head(), [])
            entries = entries_behind(self._store, position, ENTRIES_AT_ONCE)
        except CursorExpiredError:
            return _EXPIRED
        wanted = _Wanted(call)
        found: list[FeedRecord] = []
        size = 0
        for entry in entries:
            position = entry.seq
            if not wanted.is_met_by(entry.key):
                continue
            raw = self._store.get(entry.key)
            if raw is not None and version_in(raw) != entry.version:
                continue  # a later entry has it
            found.append(FeedRecord(entry.seq, entry.key, entry.version, raw))
            size += len(raw or b"")
            if len(found) == call.limit or size >= PIECE_BYTES_MAX:
                break
        return FeedReply(position, position == self._store.feed_head(), found)

    def _begin(self, call: FeedCall) -> int:
        match call.edge:
            case FeedEdge.BEHIND:
                return call.position
            case FeedEdge.AFTER:
                return self._store.feed_position_after(call.after)
            case FeedEdge.OLDEST:
                return self._store.feed_oldest()
            case FeedEdge.HEAD:
                return self._store.feed_head()


class _Wanted:
    """Which keys a call is about; each namespace is judged once."""

    def __init__(self, call: FeedCall) -> None:
        self._slots, self._watched = slots_of_bytes(call.slots), call.watched
        self._covered: dict[str, bool] = {}

    def is_met_by(self, key: bytes) -> bool:
        namespace = namespace_of_key(key)
        covered = self._covered.get(namespace)
        if covered is None:
            covered = self._covered[namespace] = self._watched.covers(namespace)
        return covered and bool(self._slots >> slot_of_key(key) & 1)


def _behind(call: FeedCall, position: int) -> FeedCall:
    return msgspec.structs.replace(call, edge=FeedEdge.BEHIND, position=position)
