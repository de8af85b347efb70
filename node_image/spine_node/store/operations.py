"""What can be asked of the writer, and what it answers. Frozen data; the order of the queue is theirs.

Keys are whole (`layout.key_of`), `raw` is an encoded record, `version` is the one inside it. A reply
of status `ok` is durable. Source: protocol.md §4.3 (R1, R2), §5, §9.
"""

from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar

import msgspec

from spine_core.records.versions import Version
from spine_core.scalars import HLC_ZERO, Hlc, StoreNumber

EpochStatus = Literal["stale-epoch", "need-document", "misdirected"]
PutStatus = Literal["ok", "superseded", "strong", "late", "full"] | EpochStatus

ReplyT = TypeVar("ReplyT")


class Asked(msgspec.Struct, Generic[ReplyT], frozen=True):
    """An operation of the queue; the parameter is the type of its reply."""


class PutReply(msgspec.Struct, frozen=True):
    """What a replica says to a put; `version` is the newer one it holds when `superseded`."""

    status: PutStatus
    version: Version | None = None


class MergeReply(msgspec.Struct, frozen=True):
    """What became of a page of pulled records: written, and refused for their checksum or slot."""

    status: Literal["ok", "full"] | EpochStatus
    applied: int = 0
    corrupt: int = 0


AdoptReply = Literal["ok", "older", "conflict"]


class DropReply(msgspec.Struct, frozen=True):
    """`more` asks for the same operation again: one call removes a bounded piece."""

    status: Literal["ok", "owned", "stale-epoch", "need-document"]
    more: bool = False


class Put(Asked[PutReply], frozen=True):
    """Write one record weakly (protocol.md §5).

    `deadline_rule` is on for clients' writes: they are refused when late, and first when disk is low.
    """

    key: bytes
    slot: int
    raw: bytes
    version: Version
    epoch: int
    deadline_rule: bool = True


class Merge(Asked[MergeReply], frozen=True):
    """Apply a page of a pull by version.

    `floor` is the source's and is adopted with the page, before its entries unless `bootstrap`: a
    bootstrap pull applies everything and passes the floor with its last page only (else 0).
    """

    slot: int
    epoch: int
    entries: Sequence[tuple[bytes, bytes]]  # (key, raw)
    floor: Hlc = HLC_ZERO
    bootstrap: bool = False
    mark: bytes | None = None  # durable with the page; None leaves the old one


class Adopt(Asked[AdoptReply], frozen=True):
    """Switch to a topology document, for every operation behind it in the queue.

    `number` None (a document that does not name this store) keeps the number it once had.
    """

    document: bytes
    epoch: int
    number: StoreNumber | None
    cluster_id: str
    owned: frozenset[int]


class MarkPull(Asked[None], frozen=True):
    """Remember how far a pull has come; None forgets it."""

    slot: int
    mark: bytes | None


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
