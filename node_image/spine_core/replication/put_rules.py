"""The decision of one replica about a weak put; made inside its writer, never before an `await`.

The epoch check and the decision must be one atomic step with the write they allow: a check that
waits before it applies loses acknowledged writes in a topology change.
"""

from enum import StrEnum
from typing import NamedTuple

from spine_core.records.hlc import MAX_WRITE_MS
from spine_core.records.versions import STRONG, Version, hlc_from_ms, hlc_of, kind_of
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc

_MAX_WRITE = hlc_from_ms(MAX_WRITE_MS)


class PutKind(StrEnum):
    """Why a record is put on a replica."""

    WRITE = "write"  # a client's write: refused when it comes late, or when the disk runs full
    WRITE_BACK = "write-back"  # a read completes an older write, whenever that was made
    REGION = "region"  # a copy of what another region has acknowledged


class RefusedPut(NamedTuple):
    """One put of a group that a replica did not apply, and why not."""

    position: int  # in the group
    status: ReplicaStatus
    held: Version | None = None  # the newer version, where it is `superseded`


class PutVerdict(StrEnum):
    """What becomes of a weak put."""

    APPLY = "apply"  # store it, then acknowledge
    ALREADY = "already"  # this very version is held: acknowledge without a write
    SUPERSEDED = "superseded"  # a newer weak version is held: take a new timestamp
    STRONG = "strong"  # the record is a register: no acknowledgement, send it as a change
    LATE = "late"  # too old to be taken by anyone


class EpochVerdict(StrEnum):
    """Whether a request belongs to the epoch of this replica."""

    OK = "ok"
    STALE_EPOCH = "stale-epoch"  # the sender has to adopt the newer document
    NEED_DOCUMENT = "need-document"  # this replica has to


def judge_put(
    *,
    version: Version,
    held: Version | None,
    has_register: bool,
    floor: Hlc,
    now_hlc: Hlc,
    kind: PutKind,
) -> PutVerdict:
    """Decide what becomes of a put of a weak `version` (the table in protocol.md §5).

    Args:
        version: what is put; a prune marker included.
        held: the version in the store, None without a record.
        has_register: acceptor state exists, be it only a promise.
        floor: purge floor of the slot; at or below it "not held" may mean "purged".
        now_hlc: the clock of this replica.
        kind: only a client's write has a deadline; the others complete old ones.
    """
    hlc = hlc_of(version)
    if kind is PutKind.WRITE and now_hlc > hlc + _MAX_WRITE:
        return PutVerdict.LATE
    if has_register or (held is not None and kind_of(held) == STRONG):
        return PutVerdict.STRONG
    if held is None:
        return PutVerdict.LATE if hlc <= floor else PutVerdict.APPLY
    if held == version:
        return PutVerdict.ALREADY
    return PutVerdict.APPLY if held < version else PutVerdict.SUPERSEDED


def judge_epoch(request_epoch: int, my_epoch: int) -> EpochVerdict:
    """Epoch equality (R1): a request runs only on a replica at exactly its own epoch."""
    if request_epoch == my_epoch:
        return EpochVerdict.OK
    return EpochVerdict.STALE_EPOCH if request_epoch < my_epoch else EpochVerdict.NEED_DOCUMENT
