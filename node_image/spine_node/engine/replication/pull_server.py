"""The serving half of pulls: what a peer may read of our slots (protocol.md §9.1).

Every answer comes from behind a no-op in our writer queue, so all that this store has acknowledged
is in it.
"""

from dataclasses import dataclass

import msgspec

from spine_core.records.versions import Version
from spine_core.scalars import Hlc, Slot
from spine_node.engine.cluster.replica import Replica
from spine_node.links.frames import CallHeader
from spine_node.links.methods import Handler, Method
from spine_node.store import Store
from spine_node.store.layout import slot_of_key
from spine_node.store.operations import Barrier, Reserve, StoredEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class PullLimits:
    """How much one answer holds, which a node never changes; tests take small numbers."""

    page_records_max: int = 500
    page_bytes_max: int = 1024 * 1024
    keys_max: int = 20_000  # key and version pairs in one answer


PULL_LIMITS = PullLimits()


class SlotsCall(msgspec.Struct, array_like=True, frozen=True):
    """Slots, ascending. The answer has one item for each, in this order."""

    slots: list[Slot]


class SlotRoot(msgspec.Struct, array_like=True, frozen=True):
    """What a store holds of a slot, in short."""

    root: bytes  # 16: the digest of the slot
    floor: Hlc
    bytes: int  # of its records


class RootsReply(msgspec.Struct, array_like=True, frozen=True):
    """One item for each slot that was asked for."""

    roots: list[SlotRoot]
    unlearned: Hlc | None = None  # the lowest time of a round that is accepted and not learned


class BucketsReply(msgspec.Struct, array_like=True, frozen=True):
    """The digests of the buckets of each slot, 64 of 16 bytes."""

    digests: list[list[bytes]]


class SlotBuckets(msgspec.Struct, array_like=True, frozen=True):
    """Some buckets of a slot."""

    slot: Slot
    buckets: list[int]


class KeysCall(msgspec.Struct, array_like=True, frozen=True):
    """The buckets to list, slots ascending, from the first key behind `after`."""

    wanted: list[SlotBuckets]
    after: bytes | None


class KeyVersion(msgspec.Struct, array_like=True, frozen=True):
    """A key that is held, and the version under it."""

    key: bytes
    version: Version


class KeysReply(msgspec.Struct, array_like=True, frozen=True):
    """A piece of the list; `after` is where the next one begins, None at the end."""

    versions: list[KeyVersion]
    after: bytes | None


class FetchCall(msgspec.Struct, array_like=True, frozen=True):
    """Keys to read, in any order."""

    keys: list[bytes]


class FetchReply(msgspec.Struct, array_like=True, frozen=True):
    """The first of the keys asked for, at least one, as many as fill a page."""

    entries: list[StoredEntry]


class PageCall(msgspec.Struct, array_like=True, frozen=True):
    """A whole slot to read page by page, from the first key behind `after`."""

    slot: Slot
    after: bytes | None


class PageReply(msgspec.Struct, array_like=True, frozen=True):
    """One page; `after` is where the next one begins, None at the end."""

    entries: list[StoredEntry]
    after: bytes | None
    floor: Hlc  # of the slot at the source


ROOTS = Method("roots", request=SlotsCall, reply=RootsReply)
BUCKETS = Method("buckets", request=SlotsCall, reply=BucketsReply)
KEYS = Method("keys", request=KeysCall, reply=KeysReply)
FETCH = Method("fetch", request=FetchCall, reply=FetchReply)
PAGE = Method("page", request=PageCall, reply=PageReply)


class PullServer:
    """Serves the methods of pulls."""

    def __init__(self, store: Store, replica: Replica, limits: PullLimits = PULL_LIMITS) -> None:
        self._store, self._replica, self._limits = store, replica, limits

    def methods(self) -> tuple[tuple[str, Handler], ...]:
        """Return the name and the handler of each method."""
        return (
            ROOTS.served(self.roots),
            BUCKETS.served(self.buckets),
            KEYS.served(self.keys),
            FETCH.served(self.fetch),
            PAGE.served(self.page),
        )

    async def roots(self, call: SlotsCall, header: CallHeader) -> RootsReply:
        """Serve `roots`.

        A pull begins here, and the caller will hold that whatever was timestamped long before it comes
        too late for us from now on. So its time is made durable: we do not forget it, whatever our
        clock says after a restart.
        """
        await self._store.submit(Reserve(header.hlc))
        await self._behind_the_queue(header)
        store = self._store
        return RootsReply(
            [
                SlotRoot(store.root(slot), store.floor(slot), store.slot_stats(slot)[1])
                for slot in call.slots
            ],
            store.oldest_unlearned(),
        )

    async def buckets(self, call: SlotsCall, header: CallHeader) -> BucketsReply:
        """Serve `buckets`."""
        await self._behind_the_queue(header)
        return BucketsReply(
            [
                [digest.to_bytes(16, "big") for digest in self._store.digest(slot)]
                for slot in call.slots
            ]
        )

    async def keys(self, call: KeysCall, header: CallHeader) -> KeysReply:
        """Serve `keys`."""
        await self._behind_the_queue(header)
        begin = -1 if call.after is None else slot_of_key(call.after)
        found: list[KeyVersion] = []
        for wanted in call.wanted:
            if wanted.slot < begin:
                continue
            behind = call.after if wanted.slot == begin else None
            limit = self._limits.keys_max - len(found)
            versions = self._store.scan_versions(
                wanted.slot, frozenset(wanted.buckets), behind, limit
            )
            found += (KeyVersion(key, version) for key, version in versions)
            if len(found) == self._limits.keys_max:
                return KeysReply(found, found[-1].key)
        return KeysReply(found, None)

    async def fetch(self, call: FetchCall, header: CallHeader) -> FetchReply:
        """Serve `fetch`."""
        await self._behind_the_queue(header)
        found: list[StoredEntry] = []
        size = 0
        for key in call.keys:
            found.append(self._store.entry(key))
            size += len(found[-1].record or b"") + len(found[-1].register or b"")
            if size >= self._limits.page_bytes_max:
                break
        return FetchReply(found)

    async def page(self, call: PageCall, header: CallHeader) -> PageReply:
        """Serve `page`."""
        await self._behind_the_queue(header)
        limits = self._limits
        entries, after = self._store.entries(
            call.slot, call.after, limits.page_records_max, limits.page_bytes_max
        )
        return PageReply(entries, after, self._store.floor(call.slot))

    async def _behind_the_queue(self, header: CallHeader) -> None:
        """Wait for all that was acknowledged before, and refuse a call of another epoch."""
        await self._store.submit(Barrier())
        self._replica.check_epoch(header.epoch)
