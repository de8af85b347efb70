"""Each operation of the writer as one function of the open transaction.

The epoch and ownership checks stand here, in the same transaction as the write they allow: a check
before the queue would lose acknowledged writes in a topology change. Source: protocol.md §4.3 (R1,
R2), §5, §9.1, §9.3, §20 (1).
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, assert_never, get_args

from spine_core.errors import CorruptRecordError
from spine_core.records.encoding import version_in
from spine_core.records.versions import WEAK, Version, hlc_of, kind_of
from spine_core.replication.put_rules import (
    EpochVerdict,
    PutKind,
    PutVerdict,
    RefusedPut,
    judge_epoch,
    judge_put,
)
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc
from spine_node.store.checks import (
    EPOCH_STATUS,
    epoch_refusal,
    has_space,
    is_intact,
    owns,
    refusal,
)
from spine_node.store.digests import is_buried
from spine_node.store.draft import Draft
from spine_node.store.layout import slot_of_key
from spine_node.store.operations import (
    Accept,
    Adopt,
    AdoptReply,
    Barrier,
    DropReply,
    DropSlot,
    FinishPull,
    Learn,
    MergePage,
    MergeReply,
    Operation,
    Prepare,
    Put,
    PutRecord,
    PutReply,
    RaiseFloor,
    Reserve,
    StoredEntry,
    TrimFeed,
)
from spine_node.store.register_execution import accept, learn, merge_entry, prepare

DROP_PIECE = 1000  # records that one DropSlot removes: a few ms of the writer

TRIM_PIECE = 4000  # rows of the feed that one TrimFeed removes

_OK = PutReply()
_Merged = Literal["applied", "known", "corrupt", "full", "open"]


def execute(draft: Draft, operation: Operation) -> object:
    """Perform one operation inside the open transaction and return its reply."""
    return _EXECUTE[type(operation)](draft, operation)


def put(draft: Draft, operation: Put) -> PutReply:
    """Decide weak puts and apply them, each by itself (protocol.md §5, the table of answers)."""
    other_epoch = epoch_refusal(draft, operation.epoch)
    if other_epoch is not None:
        return PutReply(ReplicaStatus(other_epoch))
    refused: list[RefusedPut] = []
    for position, record in enumerate(operation.records):
        if not owns(draft, record.slot):
            refused.append(RefusedPut(position, ReplicaStatus.MISDIRECTED))
        elif (why := _put_one(draft, record, operation.kind)) is not None:
            refused.append(RefusedPut(position, *why))
    return PutReply(ReplicaStatus.OK, tuple(refused)) if refused else _OK


def _put_one(
    draft: Draft, record: PutRecord, kind: PutKind
) -> tuple[ReplicaStatus, Version | None] | None:
    """Apply one put and return None, or why it is refused and the newer version that is held."""
    key, raw = record.key, record.raw
    before = draft.held(key)
    held = None if before is None else version_in(before)
    verdict = judge_put(
        version=version_in(raw),
        held=held,
        has_register=draft.has_register(key),
        floor=draft.floor(record.slot),
        now_hlc=draft.now_hlc,
        kind=kind,
    )
    match verdict:
        case PutVerdict.APPLY:
            if not has_space(draft, raw, client=kind is PutKind.WRITE):
                return ReplicaStatus.FULL, None
            draft.write(record.slot, key, raw, before)
            return None
        case PutVerdict.ALREADY:
            return None
        case PutVerdict.SUPERSEDED:
            return ReplicaStatus.SUPERSEDED, held
        case PutVerdict.STRONG:
            return ReplicaStatus.STRONG, None
        case PutVerdict.LATE:
            return ReplicaStatus.LATE, None
        case _:
            assert_never(verdict)


def merge_page(draft: Draft, operation: MergePage) -> MergeReply:
    """Apply a pulled page by version; one of a full transfer even below the floor."""
    refused = refusal(draft, operation.slot, operation.epoch)
    if refused is not None:
        return MergeReply(refused)
    assert not (operation.full_transfer and operation.floor), "a full transfer adopts it last"
    _raise_floor(draft, operation.slot, operation.floor)
    counts = dict.fromkeys(get_args(_Merged), 0)
    for entry in operation.entries:
        became = _merge_one(draft, operation, entry)
        counts[became] += 1
        if became == "full":
            break
    status: Literal["full", "ok"] = "full" if counts["full"] else "ok"
    return MergeReply(status, counts["applied"], counts["corrupt"], counts["open"])


def _merge_one(draft: Draft, operation: MergePage, entry: StoredEntry) -> _Merged:
    raw = entry.record
    if slot_of_key(entry.key) != operation.slot or not (raw is None or is_intact(raw)):
        return "corrupt"
    if raw is not None and not has_space(draft, raw, client=False):
        return "full"
    if entry.register is not None:
        return _merge_register(draft, operation, entry)
    return "known" if raw is None else _merge_weak(draft, operation, entry.key, raw)


def _merge_register(draft: Draft, operation: MergePage, entry: StoredEntry) -> _Merged:
    try:
        changed = merge_entry(draft, operation.slot, entry, whole=operation.full_transfer)
    except CorruptRecordError:
        return "corrupt"
    if changed:
        return "applied"
    raw, held = entry.record, draft.held(entry.key)
    lacks = raw is not None and (held is None or version_in(held) < version_in(raw))
    return "open" if lacks else "known"


def _merge_weak(draft: Draft, operation: MergePage, key: bytes, raw: bytes) -> _Merged:
    if kind_of(version_in(raw)) != WEAK:
        return "corrupt"  # its acceptor state is missing
    before = draft.held(key)
    if not _wins(draft, operation, raw, before):
        return "known"
    draft.write(operation.slot, key, raw, before)
    return "applied"


def finish_pull(draft: Draft, operation: FinishPull) -> MergeReply:
    """Adopt the floor behind a full transfer, and note how far it has come.

    The floor comes last: a key that is missing and below the floor is treated as purged.
    """
    refused = refusal(draft, operation.slot, operation.epoch)
    if refused is not None:
        return MergeReply(refused)
    _raise_floor(draft, operation.slot, operation.floor)
    if operation.checkpoint is not None:
        draft.set_pull_checkpoint(operation.slot, operation.checkpoint)
    return MergeReply("ok")


def adopt(draft: Draft, operation: Adopt) -> AdoptReply:
    """Switch to a newer document (R2); the same one again is no change."""
    state = draft.state
    if state.cluster_id not in (None, operation.cluster_id):
        return "conflict"
    if operation.epoch < state.epoch:
        return "older"
    if operation.epoch == state.epoch:
        return "ok" if operation.document == state.document else "conflict"
    draft.adopt(operation)
    return "ok"


def raise_floor(draft: Draft, operation: RaiseFloor) -> int:
    """Raise a floor and purge; return how many records went."""
    return _raise_floor(draft, operation.slot, operation.hlc)


def drop_slot(draft: Draft, operation: DropSlot) -> DropReply:
    """Remove a piece of a slot that is no longer owned."""
    verdict = judge_epoch(operation.epoch, draft.state.epoch)
    if verdict is not EpochVerdict.OK:
        return DropReply(EPOCH_STATUS[verdict])
    if operation.slot in draft.state.owned:
        return DropReply("owned")
    draft.set_pull_checkpoint(operation.slot, None)
    rows = list(draft.records(operation.slot, DROP_PIECE))
    for key, raw in rows:
        draft.erase(operation.slot, key, raw)
    registers = draft.erase_registers(operation.slot, DROP_PIECE)
    return DropReply("ok", more=DROP_PIECE in (len(rows), registers))


def trim_feed(draft: Draft, operation: TrimFeed) -> int:
    """Remove old entries of the feed; return how many rows went."""
    return draft.trim_feed(operation.before_hlc, TRIM_PIECE)


def reserve(draft: Draft, operation: Reserve) -> None:
    """Raise the high-water mark of the clock."""
    draft.reserve(operation.hlc)


def barrier(_draft: Draft, _operation: Barrier) -> None:
    """Change nothing."""


def _wins(draft: Draft, operation: MergePage, raw: bytes, before: bytes | None) -> bool:
    """Return whether a pulled record is to be stored.

    A key that is not held may have been purged: at or below the floor it stays away (G1). The very
    version that is held but fails its checksum is replaced; that is how damage heals.
    """
    version = version_in(raw)
    if before is None:
        return operation.full_transfer or hlc_of(version) > draft.floor(operation.slot)
    held = version_in(before)
    return held < version or (held == version and not is_intact(before))


def _raise_floor(draft: Draft, slot: int, hlc: Hlc) -> int:
    """Raise a floor, purge what every replica has buried, and return how many records went.

    A strong tombstone, or one beside a register, stays until its register goes (protocol.md §9.3),
    but counts in no digest any more.
    """
    if hlc <= draft.floor(slot):
        return 0
    purged = 0
    for key, raw in [row for row in draft.records(slot) if is_buried(row[1], hlc)]:
        if kind_of(version_in(raw)) == WEAK and not draft.has_register(key):
            draft.erase(slot, key, raw)
            purged += 1
        else:
            draft.leave_out(slot, key, raw)
    draft.set_floor(slot, hlc)
    return purged


_EXECUTE: Mapping[type, Callable[[Draft, Any], object]] = {
    Put: put,
    Prepare: prepare,
    Accept: accept,
    Learn: learn,
    MergePage: merge_page,
    FinishPull: finish_pull,
    Adopt: adopt,
    RaiseFloor: raise_floor,
    DropSlot: drop_slot,
    TrimFeed: trim_feed,
    Reserve: reserve,
    Barrier: barrier,
}
