"""The changes of a register, each a function of its current value, and when one has been made already.

An operation keeps its number across retries, other proposers and the way from a weak put to a round,
so the value itself tells whether it has taken effect (protocol.md §7.6). Whatever is answered here is
final only once the value it was read from is chosen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from spine_core.records.encoding import Record, is_absent
from spine_core.records.versions import ABSENT, Version, ms_of
from spine_core.replication.registers.state import (
    CHANGES_KEPT,
    NO_BALLOT,
    Ballot,
    LeaseGuard,
    RegisterValue,
    ballot_hlc,
    ballot_in,
    version_of,
)


class ChangeKind(StrEnum):
    """What a change asks of the current value before it is made."""

    CREATE = "create"  # there is nothing
    WRITE = "write"  # anything
    REPLACE = "replace"  # there is something, whatever it is (`If-Match: *`)
    UPDATE = "update"  # there is something to go on from
    IDENTITY = "identity"  # nothing changes: a read, or the completion of somebody's round


class ChangeVerdict(StrEnum):
    """What became of a change."""

    APPLIED = "applied"
    ALREADY = "already"  # by an earlier attempt; the version is of then
    UNCHANGED = "unchanged"  # the answer to an identity, or to a change that has nothing to do
    PRECONDITION_FAILED = "precondition-failed"
    NOT_FOUND = "not-found"
    FENCE_STALE = "fence-stale"  # a higher fence of the lease has touched the record
    FENCE_REQUIRED = "fence-required"  # the record is guarded, and the change names no fence
    GUARD_CONFLICT = "guard-conflict"  # another lease guards the record
    REFUSED = "refused"  # by the change itself, for the `reason` it gave
    INDETERMINATE = "indeterminate"  # stopped: an earlier attempt may have applied


class NewValue(NamedTuple):
    """What a change writes."""

    body: bytes
    expires_ms: int = 0
    flags: int = 0


class Refusal(NamedTuple):
    """Why a change refuses the value it was given, for whoever has asked for it."""

    reason: str


class Basis(NamedTuple):
    """What a change is made from."""

    live: Record | None  # the current record, None where readers see nothing
    held: Record  # the same, with a tombstone or what has expired
    now_ms: int  # the time of the round
    guard: LeaseGuard | None  # of the record after the change


Make = Callable[[Basis], NewValue | Refusal | None]  # None: there is nothing to change


class Changed(NamedTuple):
    """The next value of a register, which is the current one when nothing is to change."""

    value: RegisterValue
    verdict: ChangeVerdict
    version: Version = ABSENT  # of what the operation wrote, or of what an identity has found
    may_have_applied: bool = False  # in an earlier attempt, which the value may have forgotten
    reason: str = ""  # of a `REFUSED`


def _nothing(_basis: Basis) -> None:
    """Change nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterChange:
    """One operation on a register."""

    kind: ChangeKind
    op: int = 0
    make: Make = _nothing
    if_match: Ballot | None = None  # what the ETag of the condition says
    fence: LeaseGuard | None = None  # the lease that protects the write
    unguard: bool = False  # a fenced write takes the guard away; one that may, without a fence too


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
    now_ms = ms_of(ballot_hlc(ballot))
    live = None if is_absent(current.record, now_ms) else current.record
    verdict = _refusal(change, live) or _fence_refusal(change, current.guard)
    if verdict is not None:
        return _refused(change, current, verdict)
    guard = None if change.unguard else change.fence
    made = change.make(Basis(live, current.record, now_ms, guard))
    if isinstance(made, Refusal):
        return _refused(change, current, ChangeVerdict.REFUSED, made.reason)
    if made is None:
        return Changed(current, ChangeVerdict.UNCHANGED, current.record.version)
    version = version_of(ballot)
    record = Record(version, change.op, made.body, made.expires_ms, made.flags)
    value = _remembering(current._replace(record=record, guard=guard), change.op, ballot, kept)
    return Changed(value, ChangeVerdict.APPLIED, version)


def _made_by(op: int, current: RegisterValue) -> Version | None:
    """Return the version that an operation has made, None if the value knows nothing of it."""
    if op == current.base_op and current.base != ABSENT:
        return current.base
    return next((version_of(ballot) for made, ballot in current.changes if made == op), None)


def _refused(
    change: RegisterChange, current: RegisterValue, verdict: ChangeVerdict, reason: str = ""
) -> Changed:
    forgotten = current.forgotten > (change.if_match or NO_BALLOT)
    return Changed(current, verdict, may_have_applied=forgotten, reason=reason)


def _refusal(change: RegisterChange, live: Record | None) -> ChangeVerdict | None:
    if change.if_match is not None and (live is None or ballot_in(live.version) != change.if_match):
        return ChangeVerdict.PRECONDITION_FAILED
    if change.kind is ChangeKind.CREATE and live is not None:
        return ChangeVerdict.PRECONDITION_FAILED
    if change.kind is ChangeKind.REPLACE and live is None:
        return ChangeVerdict.PRECONDITION_FAILED
    if change.kind is ChangeKind.UPDATE and live is None:
        return ChangeVerdict.NOT_FOUND
    return None


def _fence_refusal(change: RegisterChange, guard: LeaseGuard | None) -> ChangeVerdict | None:
    """Check the fence of a change: one that a newer holder has passed is never applied again."""
    if guard is None:
        return None
    if change.fence is None:
        return None if change.unguard else ChangeVerdict.FENCE_REQUIRED
    if change.fence.lease != guard.lease:
        return ChangeVerdict.GUARD_CONFLICT
    return ChangeVerdict.FENCE_STALE if change.fence.fence < guard.fence else None


def _remembering(value: RegisterValue, op: int, ballot: Ballot, kept: int) -> RegisterValue:
    """Return the value with one more change in its list, which drops the oldest."""
    changes = (*value.changes, (op, ballot))
    dropped, changes = changes[:-kept], changes[-kept:]
    forgotten = dropped[-1][1] if dropped else value.forgotten
    return value._replace(changes=changes, forgotten=forgotten)
