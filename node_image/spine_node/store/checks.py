"""What every operation of the writer asks first: is it of this epoch and slot, is there space, is it whole.

These checks run in the same transaction as the write they allow: a check before the queue would lose
acknowledged writes in a topology change (protocol.md §4.3 R1, §20 (1)).
"""

from collections.abc import Mapping
from typing import Literal

from spine_core.errors import CorruptRecordError
from spine_core.records.encoding import FLAG_TOMBSTONE, decode, header_of
from spine_core.replication.put_rules import EpochVerdict, judge_epoch
from spine_node.store.draft import Draft
from spine_node.store.layout import checksum
from spine_node.store.operations import EpochStatus
from spine_node.store.space import Space

EPOCH_STATUS: Mapping[EpochVerdict, Literal["stale-epoch", "need-document"]] = {
    EpochVerdict.STALE_EPOCH: "stale-epoch",
    EpochVerdict.NEED_DOCUMENT: "need-document",
}


def refusal(draft: Draft, slot: int, epoch: int) -> EpochStatus | None:
    """R1 and ownership: None when a request of `epoch` may touch the slot here and now."""
    return epoch_refusal(draft, epoch) or (None if owns(draft, slot) else "misdirected")


def epoch_refusal(draft: Draft, epoch: int) -> Literal["stale-epoch", "need-document"] | None:
    """R1: None when a request of `epoch` may run here and now."""
    verdict = judge_epoch(epoch, draft.state.epoch)
    return None if verdict is EpochVerdict.OK else EPOCH_STATUS[verdict]


def owns(draft: Draft, slot: int) -> bool:
    """Whether this store holds the slot in the epoch in force."""
    return slot in draft.state.owned


def has_space(draft: Draft, raw: bytes, *, client: bool) -> bool:
    """Clients stop first, other replicas' records later, tombstones never."""
    limit = Space.LOW if client else Space.OUT
    return draft.space < limit or bool(header_of(raw).flags & FLAG_TOMBSTONE)


def is_intact(raw: bytes) -> bool:
    """Whether a stored record passes its checksum."""
    try:
        decode(raw, checksum)
    except CorruptRecordError:
        return False
    return True
