"""Moves records from a peer's store into ours: finds what we lack, fetches it, merges it durably.

Pull is the only data mover and needs no acknowledgement: it merges by version, so it may be cut
short anywhere and done again. Anti-entropy and the transfer of slots both stand on it.
"""

import asyncio
from collections.abc import Sequence
from enum import StrEnum

from spine_core.records.encoding import version_in
from spine_core.records.versions import Version, hlc_of
from spine_core.scalars import HLC_ZERO, Hlc, Slot, StoreNumber
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.engine.replication.pull_server import (
    BUCKETS,
    FETCH,
    KEYS,
    FetchCall,
    KeysCall,
    SlotBuckets,
    SlotsCall,
)
from spine_node.engine.replication.throttle import Throttle
from spine_node.store import split_key
from spine_node.store.operations import FinishPull, MergePage, StoredEntry

CALL_TIMEOUT_S = 10.0  # of one call of a pull: pages are large and disks busy
FETCH_KEYS_MAX = 200  # asked for in one call; the peer sends as many as fill a page


class PullReason(StrEnum):
    """Why records are pulled, in metrics."""

    ANTI_ENTROPY = "anti-entropy"
    CHANGE = "change"  # a slot comes to this store as a whole


class PullCutError(Exception):
    """A pull cannot be ended, as when the epoch moved on. Nothing follows from it."""


class DamagedSourceError(PullCutError):
    """The source holds a record that fails its checksum."""


def size_of(entry: StoredEntry) -> int:
    """Return the bytes of what a store holds under a key."""
    return len(entry.record or b"") + len(entry.register or b"")


class Mover:
    """The pulls of one node, whoever asks for them; they share one throttle."""

    def __init__(self, context: Context, throttle: Throttle) -> None:
        self._store, self._replicas = context.store, context.replicas
        self._metrics, self._throttle = context.metrics, throttle

    async def pull(
        self,
        view: MemberView,
        peer: StoreNumber,
        slots: list[Slot],
        before: Hlc,
        *,
        reason: PullReason,
    ) -> int:
        """Pull what a peer holds newer than we do; return how many records were newer than ours.

        Records younger than the HLC `before` are skipped: the live write path delivers them.
        `slots` ascend.

        Raises:
            CallError: the peer did not answer.
            PullCutError: the store refused what came, or the peer answered something else.
        """
        call = SlotsCall(slots)
        theirs = (await self._replicas.ask(view, peer, BUCKETS, call, CALL_TIMEOUT_S)).digests
        if len(theirs) != len(slots):
            raise PullCutError("digests of other slots than were asked for")
        wanted = [
            SlotBuckets(slot, self._differing(slot, digests))
            for slot, digests in zip(slots, theirs, strict=True)
        ]
        applied, after = 0, None
        while True:
            keys_call = KeysCall(wanted, after)
            page = await self._replicas.ask(view, peer, KEYS, keys_call, CALL_TIMEOUT_S)
            keys = [k.key for k in page.versions if self._lacks(k.key, k.version, before)]
            applied += await self._fetch(view, peer, keys, reason=reason)
            after = page.after
            if after is None:
                return applied

    def _differing(self, slot: Slot, theirs: Sequence[bytes]) -> list[int]:
        """Return the buckets of a slot whose digests are not ours."""
        ours = self._store.digest(slot)
        if len(theirs) != len(ours):
            raise PullCutError("digests of another number of buckets")
        pairs = zip(ours, theirs, strict=True)
        return [b for b, (our, their) in enumerate(pairs) if our != int.from_bytes(their, "big")]

    def _lacks(self, key: bytes, version: Version, before: Hlc) -> bool:
        ours = self._store.get(key)
        newer = ours is None or version_in(ours) < version
        return newer and hlc_of(version) < before

    async def _fetch(
        self, view: MemberView, peer: StoreNumber, keys: list[bytes], *, reason: PullReason
    ) -> int:
        applied = 0
        while keys:
            call = FetchCall(keys[:FETCH_KEYS_MAX])
            entries = (await self._replicas.ask(view, peer, FETCH, call, CALL_TIMEOUT_S)).entries
            if not entries or [entry.key for entry in entries] != keys[: len(entries)]:
                raise PullCutError("other keys than were asked for")
            held = [entry for entry in entries if entry.record is not None]
            applied += await self.merge(view, held, reason=reason)
            keys = keys[len(entries) :]
        return applied

    async def merge(
        self, view: MemberView, entries: Sequence[StoredEntry], *, reason: PullReason
    ) -> int:
        """Merge pulled entries by version, durably; return how many were newer than ours.

        Raises:
            PullCutError: the store refused them (another epoch, a full disk), or the source is in the
                middle of a round of one of them.
            DamagedSourceError: a checksum was wrong.
        """
        size = sum(map(size_of, entries))
        await self._throttle.spend(size)
        by_slot: dict[Slot, list[StoredEntry]] = {}
        for entry in entries:
            by_slot.setdefault(Slot(split_key(entry.key)[0]), []).append(entry)
        whole = reason is PullReason.CHANGE
        replies = await asyncio.gather(
            *(
                self._store.submit(MergePage(slot, view.epoch, page, full_transfer=whole))
                for slot, page in by_slot.items()
            )
        )
        for reply in replies:
            if reply.status != "ok":
                raise PullCutError(reply.status)
            if reply.corrupt:
                raise DamagedSourceError(f"{reply.corrupt} records fail their checksum")
        if rounds := sum(reply.open for reply in replies):
            # what it learned before came along without its acceptor state: it is not here yet
            raise PullCutError(f"the source has still to learn {rounds} values")
        applied = sum(reply.applied for reply in replies)
        self._metrics.pull_records.labels(reason).inc(applied)
        self._metrics.pull_bytes.labels(reason).inc(size)
        return applied

    async def finish(
        self,
        view: MemberView,
        slot: Slot,
        *,
        floor: Hlc = HLC_ZERO,
        checkpoint: bytes | None = None,
    ) -> None:
        """End a full transfer: adopt the source's floor, or make durable that all of it is here.

        Raises:
            PullCutError: the store refused it: another epoch.
        """
        reply = await self._store.submit(FinishPull(slot, view.epoch, floor, checkpoint))
        if reply.status != "ok":
            raise PullCutError(reply.status)
