"""What can be asked of the writer, and what it answers. Frozen data; the order of the queue is theirs.

Keys are whole (`layout.key_of`), `raw` is an encoded record, `version` is the one inside it. A reply
of status `ok` is durable. Source: protocol.md §4.3 (R1, R2), §5, §9.
"""

from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar

import msgspec

from spine_core.replication.put_rules import PutKind, RefusedPut
from spine_core.replication.registers.state import NO_BALLOT, Ballot
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import HLC_ZERO, Hlc, Slot, StoreNumber

EpochStatus = Literal["stale-epoch", "need-document", "misdirected"]

ReplyT = TypeVar("ReplyT")


class Asked(msgspec.Struct, Generic[ReplyT], frozen=True):
    """An operation of the queue; the parameter is the type of its reply."""


class PutReply(msgspec.Struct, frozen=True, array_like=True):
    """What a replica says to a group of puts: one status for all but those that are `refused`."""

    status: ReplicaStatus = ReplicaStatus.OK
    refused: tuple[RefusedPut, ...] = ()

    def of(self, position: int) -> ReplicaStatus:
        """Return what became of one put of the group."""
        return next((put.status for put in self.refused if put.position == position), self.status)


class MergeReply(msgspec.Struct, frozen=True):
    """What became of a page of pulled records: written, and refused for their checksum or slot.

    `open` counts values that were learned at the source, and lie there under a round that is not.
    """

    status: Literal["ok", "full"] | EpochStatus
    applied: int = 0
    corrupt: int = 0
    open: int = 0


AdoptReply = Literal["ok", "older", "conflict"]


class DropReply(msgspec.Struct, frozen=True):
    """`more` asks for the same operation again: one call removes a bounded piece."""

    status: Literal["ok", "owned", "stale-epoch", "need-document"]
    more: bool = False


class PutRecord(msgspec.Struct, array_like=True, frozen=True):
    """One record to be put; its version is inside."""

    key: bytes
    slot: Slot
    raw: bytes


class Put(Asked[PutReply], frozen=True):
    """Write a group of records weakly, each by itself (protocol.md §5): one refused leaves the others."""

    records: Sequence[PutRecord]
    epoch: int
    kind: PutKind = PutKind.WRITE


class StoredEntry(msgspec.Struct, array_like=True, frozen=True):
    """What a store holds under one key, read at one moment (protocol.md §4.3, R4)."""

    key: bytes
    record: bytes | None  # encoded; None: not held
    register: bytes | None = None  # encoded acceptor state; None: the record is weak


class PrepareReply(msgspec.Struct, frozen=True, array_like=True):
    """A promise, with what the replica has of the record, or why there is none."""

    status: ReplicaStatus
    promised: bytes = NO_BALLOT  # of a `nack`: what is in the way
    accepted: bytes = NO_BALLOT  # of the value; `NO_BALLOT`: it would grow from the weak record
    learned: bool = False
    value: bytes = b""  # as `registers.encoding` has it
    floor: Hlc = HLC_ZERO


class Prepare(Asked[PrepareReply], frozen=True):
    """Promise to take part in no lower round of a record any more (protocol.md §7.2)."""

    key: bytes
    slot: Slot
    epoch: int
    ballot: Ballot


class AcceptReply(msgspec.Struct, frozen=True, array_like=True):
    """Whether a value was accepted or learned."""

    status: ReplicaStatus
    promised: bytes = NO_BALLOT  # of a `nack`: what is in the way


class Accept(Asked[AcceptReply], frozen=True):
    """Accept the value of a round (protocol.md §7.2)."""

    key: bytes
    slot: Slot
    epoch: int
    ballot: Ballot
    value: bytes  # as `registers.encoding` has it


class Learn(Asked[AcceptReply], frozen=True):
    """Take over a chosen value (protocol.md §7.2)."""

    key: bytes
    slot: Slot
    epoch: int
    ballot: Ballot
    value: bytes | None  # None: the one that was accepted under this ballot


class MergePage(Asked[MergeReply], frozen=True):
    """Apply a page of a pull by version.

    A page of a full transfer takes even what lies at or below the floor: here a missing key was
    never purged. Any other page adopts the source's floor first, so that it brings nothing back.
    """

    slot: int
    epoch: int
    entries: Sequence[StoredEntry]
    floor: Hlc = HLC_ZERO  # of the source, for this very page
    full_transfer: bool = False


class FinishPull(Asked[MergeReply], frozen=True):
    """End a full transfer of a slot, behind its pages in the queue."""

    slot: int
    epoch: int
    floor: Hlc = HLC_ZERO  # of the source
    checkpoint: bytes | None = None  # whose pull is complete; None leaves the old one


class Adopt(Asked[AdoptReply], frozen=True):
    """Switch to a topology document, for every operation behind it in the queue.

    `number` None (a document that does not name this store) keeps the number it once had.
    """

    document: bytes
    epoch: int
    number: StoreNumber | None
    cluster_id: str
    owned: frozenset[int]


class RaiseFloor(Asked[int], frozen=True):
    """Raise a slot's floor and purge what lies at or below it; never lowers. Answers the records purged."""

    slot: int
    hlc: Hlc


class DropSlot(Asked[DropReply], frozen=True):
    """Remove a piece of a slot that this store does not own. The floor stays."""

    slot: int
    epoch: int


class TrimFeed(Asked[int], frozen=True):
    """Remove a piece of the feed: appended before `before_hlc`, or beyond its share of the quota.

    Answers the rows removed; ask again until 0.
    """

    before_hlc: Hlc


class Reserve(Asked[None], frozen=True):
    """Make the clock's high-water mark at least `hlc`."""

    hlc: Hlc


class Barrier(Asked[None], frozen=True):
    """Change nothing; resolves when everything queued before it is durable."""


Operation = Asked[Any]  # any of the above
