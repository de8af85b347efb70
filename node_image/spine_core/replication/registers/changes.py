"""The changes of a register, each a function of its current value, and when one has been made already.

An operation keeps its number across retries, other proposers and the way from a weak put to a round,
so the value itself tells whether it has taken effect (protocol.md §7.6). Whatever is answered here is
final only once the value it was read from is chosen.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from spine_core.records.encoding import Record, is_absent
from spine_core.records.versions import ABSENT, Version, ms_of
from spine_core.replication.registers.state import (
    CHANGES_KEPT,
    NO_BALLOT,
    Ballot,
    RegisterValue,
    ballot_hlc,
    ballot_in,
    version_of,
)


class ChangeKind(StrEnum):
    """What a change does."""

    CREATE = "create"  # only where there is nothing
    WRITE = "write"  # put or delete, by the flags
    TOUCH = "touch"  # a new expiry for the same content
    IDENTITY = "identity"  # nothing: a read, or the completion of somebody's round


class ChangeVerdict(StrEnum):
    """What became of a change."""

    APPLIED = "applied"
    ALREADY = "already"  # by an earlier attempt; the version is of then
    UNCHANGED = "unchanged"  # the answer to an identity
    PRECONDITION_FAILED = "precondition-failed"
    NOT_FOUND = "not-found"
    INDETERMINATE = "indeterminate"  # stopped: an earlier attempt may have applied


class Changed(NamedTuple):
    """The next value of a register, which is the current one when nothing is to change."""

    value: RegisterValue
    verdict: ChangeVerdict
    version: Version = ABSENT  # of what the operation wrote, or of what an identity has found
    may_have_applied: bool = False  # in an earlier attempt, which the value may have forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterChange:
    """One operation on a register; all of it travels to the proposer."""

    kind: ChangeKind
    op: int = 0
    body: bytes = b""
    expires_ms: int = 0
    flags: int = 0
    if_match: Ballot | None = None  # what the ETag of the condition says


def apply_change(
    change: RegisterChange,
    current: RegisterValue,
    ballot: Ballot,
    *,
    first: Ballot | None,
    kept: int = CHANGES_KEPT,
) -> Changed:
    """Return the next value and what became of the change.

    Args:
        change: the operation.
        current: the value that the promises of this round gave.
        ballot: of this round; its timestamp is the present.
        first: the ballot of the first round that this coordinator made for the operation, None in
            that round itself.
        kept: how many changes a value remembers.
    """
    if change.kind is ChangeKind.IDENTITY:
        return Changed(current, ChangeVerdict.UNCHANGED, current.record.version)
    if (version := _made_by(change.op, current)) is not None:
        return Changed(current, ChangeVerdict.ALREADY, version)
    if change.if_match is None and first is not None and current.forgotten >= first:
        return Changed(current, ChangeVerdict.INDETERMINATE, may_have_applied=True)
    if (refusal := _refusal(change, current.record, ballot)) is not None:
        forgotten = current.forgotten > (change.if_match or NO_BALLOT)
        return Changed(current, refusal, may_have_applied=forgotten)
    return Changed(_next(change, current, ballot, kept), ChangeVerdict.APPLIED, version_of(ballot))


def _made_by(op: int, current: RegisterValue) -> Version | None:
    """Return the version that an operation has made, None if the value knows nothing of it."""
    if op == current.base_op and current.base != ABSENT:
        return current.base
    return next((version_of(ballot) for made, ballot in current.changes if made == op), None)


def _refusal(change: RegisterChange, record: Record, ballot: Ballot) -> ChangeVerdict | None:
    absent = is_absent(record, ms_of(ballot_hlc(ballot)))
    if change.if_match is not None and (absent or ballot_in(record.version) != change.if_match):
        return ChangeVerdict.PRECONDITION_FAILED
    if change.kind is ChangeKind.CREATE and not absent:
        return ChangeVerdict.PRECONDITION_FAILED
    if change.kind is ChangeKind.TOUCH and absent:
        return ChangeVerdict.NOT_FOUND
    return None


def _next(
    change: RegisterChange, current: RegisterValue, ballot: Ballot, kept: int
) -> RegisterValue:
    version = version_of(ballot)
    if change.kind is ChangeKind.TOUCH:
        record = current.record._replace(
            version=version, op=change.op, expires_ms=change.expires_ms
        )
    else:
        record = Record(version, change.op, change.body, change.expires_ms, change.flags)
    changes = (*current.changes, (change.op, ballot))
    dropped, changes = changes[:-kept], changes[-kept:]
    forgotten = dropped[-1][1] if dropped else current.forgotten
    return current._replace(record=record, changes=changes, forgotten=forgotten)
