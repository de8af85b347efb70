"""One uncommitted transaction: what the operations of a batch read and change, in queue order.

Every change of `rec` goes through `write` or `erase`, so that feed, digests, sizes and high-water
mark cannot miss one. `Effects` is what the event loop learns once the commit is durable, never
before. Source: protocol.md §2.5, §9.1, §12.1.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from spine_core.records.encoding import version_in
from spine_core.records.versions import Version, hlc_of
from spine_core.replication.registers.encoding import state_head, unlearned_version
from spine_core.replication.registers.state import Ballot
from spine_core.scalars import HLC_ZERO, Hlc
from spine_node.store.digests import DigestChange, bucket_of, change_of, fingerprint, is_buried
from spine_node.store.feed import ROW_ENTRIES, append_hlc_of, pack_row
from spine_node.store.layout import (
    CHECKPOINT,
    FLOOR,
    Table,
    Tables,
    Transaction,
    pack_slots,
    pack_u64,
    slot_prefix,
    unpack_u64,
)
from spine_node.store.operations import Adopt
from spine_node.store.space import Space, used_bytes
from spine_node.store.state import State

FEED_SHARE = 0.10  # the feed may fill so much of the quota


class OpenRound(NamedTuple):
    """A register whose newest value is not learned here: promised, and perhaps accepted."""

    promised: Ballot
    accepted: Ballot  # `NO_BALLOT`: nothing
    since: Hlc = HLC_ZERO  # the time of the value that is accepted, 0 where nothing was written


@dataclass(slots=True)
class Effects:
    """What became durable with one commit."""

    changes: list[DigestChange] = field(default_factory=list)
    floors: dict[int, Hlc] = field(default_factory=dict)
    rounds: dict[bytes, OpenRound | None] = field(default_factory=dict)  # key → None: learned
    adopted: Adopt | None = None
    feed_head: int = 0


def open_round(raw: bytes) -> OpenRound | None:
    """Return what a stored acceptor state has still to learn, None if it has learned its value."""
    head = state_head(raw)
    if head.learned:
        return None
    return OpenRound(head.promised, head.accepted, hlc_of(unlearned_version(raw)))


class Draft:
    """The transaction of one batch. Writer thread only; `state` changes with it."""

    def __init__(
        self,
        txn: Transaction,
        tables: Tables,
        state: State,
        *,
        now_hlc: Hlc,
        quota_bytes: int,
        space: Space,
    ) -> None:
        self.state = state
        self.now_hlc = now_hlc
        self.effects = Effects()
        self._txn = txn  # its default table is `rec`
        self._tables = tables
        self._feed: list[tuple[bytes, Version]] = []
        self._changed = False
        self._quota_bytes = quota_bytes
        self.space = space  # as the batch begins

    def held(self, key: bytes) -> bytes | None:
        """Return the stored record, this batch's own writes included."""
        return self._txn.get(key)

    def has_register(self, key: bytes) -> bool:
        """Return whether acceptor state exists, be it only a promise."""
        return self.register(key) is not None

    def register(self, key: bytes) -> bytes | None:
        """Return the acceptor state of a record."""
        return self._txn.get(key, db=self._tables.reg) if self.state.registers else None

    def set_register(self, key: bytes, raw: bytes) -> None:
        """Store the acceptor state of a record."""
        self.state.registers = True  # before the commit: who reads beside it looks for it
        self._set(self._tables.reg, key, raw)
        self.effects.rounds[key] = open_round(raw)

    def floor(self, slot: int) -> Hlc:
        """Return the purge floor of a slot."""
        return self.state.floors.get(slot, HLC_ZERO)

    def write(self, slot: int, key: bytes, raw: bytes, before: bytes | None) -> None:
        """Store a record in the place of `before`, which is what is held."""
        self._txn.put(key, raw)
        version = version_in(raw)
        self._feed.append((key, version))
        self.effects.changes.append(change_of(slot, key, before, raw, self.floor(slot)))
        self.state.high_water = max(self.state.high_water, hlc_of(version))
        self._changed = True

    def erase(self, slot: int, key: bytes, before: bytes) -> None:
        """Remove a record for good; no replica learns of it, so it is no entry of the feed."""
        self._txn.delete(key)
        self.effects.changes.append(change_of(slot, key, before, None, self.floor(slot)))
        self._changed = True

    def leave_out(self, slot: int, key: bytes, raw: bytes) -> None:
        """Take a record that a higher floor is about to bury out of the digests, and keep it."""
        if not is_buried(raw, self.floor(slot)):
            digest = fingerprint(key, version_in(raw))
            self.effects.changes.append(DigestChange(slot, bucket_of(key), digest, 0, 0))

    def erase_registers(self, slot: int, limit: int) -> int:
        """Remove acceptor state of a slot, at most `limit` entries; return how many."""
        keys = [key for key, _ in self._range(self._tables.reg, slot, limit)]
        for key in keys:
            self._txn.delete(key, db=self._tables.reg)
            self.effects.rounds[key] = None
        self._changed |= bool(keys)
        return len(keys)

    def records(self, slot: int, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, raw) of a slot in key order; collect them before changing any."""
        return self._range(self._tables.rec, slot, limit)

    def _range(self, table: Table, slot: int, limit: int | None) -> Iterator[tuple[bytes, bytes]]:
        prefix = slot_prefix(slot)
        cursor = self._txn.cursor(db=table)
        if not cursor.set_range(prefix):
            return
        for count, (key, value) in enumerate(cursor):
            if count == limit or not key.startswith(prefix):
                return
            yield key, value

    def set_floor(self, slot: int, hlc: Hlc) -> None:
        """Set the floor of a slot; what it buries is the caller's to purge or to leave out."""
        self.state.floors[slot] = self.effects.floors[slot] = hlc
        self._set(self._tables.slot, slot_prefix(slot) + FLOOR, pack_u64(hlc))

    def set_pull_checkpoint(self, slot: int, checkpoint: bytes | None) -> None:
        """Remember how far the pull of a slot has come, or forget it."""
        self._set(self._tables.slot, slot_prefix(slot) + CHECKPOINT, checkpoint)

    def reserve(self, hlc: Hlc) -> None:
        """Raise the high-water mark."""
        self._changed |= hlc > self.state.high_water
        self.state.high_water = max(self.state.high_water, hlc)

    def adopt(self, adopt: Adopt) -> None:
        """Switch epoch, document and owned slots for every operation behind this one."""
        state, meta = self.state, self._tables.meta
        state.epoch, state.document, state.owned = adopt.epoch, adopt.document, adopt.owned
        state.cluster_id = adopt.cluster_id
        self._set(meta, b"epoch", pack_u64(adopt.epoch))
        self._set(meta, b"document", adopt.document)
        self._set(meta, b"owned", pack_slots(adopt.owned))
        self._set(meta, b"cluster_id", adopt.cluster_id.encode())
        if adopt.number is not None:
            state.number = adopt.number
            self._set(meta, b"number", pack_u64(adopt.number))
        self.effects.adopted = adopt

    def trim_feed(self, before_hlc: Hlc, limit: int) -> int:
        """Remove the oldest rows of the feed: appended before, or too many; never the newest row.

        The newest row is what `feed_head` is read from after a restart.
        """
        excess = used_bytes(self._txn, self._tables.feed) - self._quota_bytes * FEED_SHARE
        cursor = self._txn.cursor(db=self._tables.feed)
        removed = 0
        cursor.first()
        while removed < limit and 0 < unpack_u64(cursor.key()) < self.state.feed_head:
            row = cursor.value()
            if append_hlc_of(row) >= before_hlc and excess <= 0:
                break
            excess -= len(row)
            removed += cursor.delete()
        self._changed |= removed > 0
        return removed

    def _set(self, table: Table, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._txn.delete(key, db=table)
        else:
            self._txn.put(key, value, db=table)
        self._changed = True

    def seal(self, clock_last: Hlc) -> Effects:
        """Write feed and high-water mark of the batch; the commit follows.

        A batch that changed nothing writes nothing: LMDB then commits without touching the disk.
        """
        state = self.state
        if self._changed:
            state.high_water = max(state.high_water, clock_last)
            self._txn.put(b"high_water", pack_u64(state.high_water), db=self._tables.meta)
        for at in range(0, len(self._feed), ROW_ENTRIES):
            row = self._feed[at : at + ROW_ENTRIES]
            state.append_hlc = max(state.append_hlc, self.now_hlc)
            state.feed_head += len(row)
            key, value = pack_u64(state.feed_head), pack_row(state.append_hlc, row)
            self._txn.put(key, value, append=True, db=self._tables.feed)
        self.effects.feed_head = state.feed_head
        return self.effects
