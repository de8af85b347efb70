"""Writes that a register decides: from a request to one change, and from its end to the answer.

Conditions, merge patches, touches, fences and the model `strong` come here, and weak writes that have
met a register, under the number of the operation that they had (protocol.md §5, §7.4, §7.6).
"""

from typing import Protocol

import msgspec

from spine_core.errors import ProblemError
from spine_core.problems import Outcome
from spine_core.records.consistency import Model
from spine_core.records.encoding import Record, is_absent, split_body
from spine_core.records.ids import key_hash
from spine_core.records.sessions import Session
from spine_core.records.versions import Version, parse_etag
from spine_core.replication.registers.changes import ChangeKind, ChangeVerdict
from spine_core.replication.registers.state import BALLOT_BYTES, make_ballot
from spine_node.clock import Clock
from spine_node.engine.coordinator.pending_write import PendingWrite
from spine_node.engine.coordinator.register_changes import Action, ChangeCall, PatchFault
from spine_node.engine.coordinator.registers import RegisterCoordinator, RegisterOutcome
from spine_node.ports import Fence, PreconditionFailedError, WriteOutcome, WriteRequest

_NO_SUCH_ETAG = b"\xff" * BALLOT_BYTES  # above every ballot: an ETag that nobody has issued
EARLIER_REQUEST = "earlier-request"  # `doubt`: this request alone has certainly not been applied
_FORGOTTEN = (
    "more changes were made since an earlier attempt than the record remembers: whether that attempt "
    "was applied is not known"
)
_PROBLEMS = {
    ChangeVerdict.NOT_FOUND: ("not-found", "there is no such memory"),
    ChangeVerdict.FENCE_STALE: (
        "fence-stale",
        "a newer fence of this lease has touched the record",
    ),
    ChangeVerdict.FENCE_REQUIRED: (
        "fence-required",
        "a lease guards this record: name it and its fence in Spine-Fence",
    ),
    ChangeVerdict.GUARD_CONFLICT: ("guard-conflict", "another lease guards this record"),
}


class Fences(Protocol):
    """Who knows the newest fence of each lease."""

    async def check(self, namespace: str, fence: Fence, deadline: float) -> None:
        """Refuse a fence that is not the newest of a lease that runs."""


class RegisterWrites:
    """The register path of a `WriteCoordinator`."""

    def __init__(self, registers: RegisterCoordinator, fences: Fences, clock: Clock) -> None:
        self._registers, self._fences, self._clock = registers, fences, clock

    async def write(
        self, request: WriteRequest, pending: PendingWrite, model: Model, session: Session
    ) -> WriteOutcome:
        """Execute one write as a change of its register.

        Raises:
            ProblemError: with `outcome`.
        """
        if request.fence is not None:
            await self._fences.check(request.namespace, request.fence, request.deadline)
        outcome = await self._registers.change(call_of(request, pending), request.deadline)
        record, replayed = outcome.record, False
        match outcome.verdict:
            case ChangeVerdict.APPLIED | ChangeVerdict.UNCHANGED:
                pass
            case ChangeVerdict.ALREADY:
                replayed = True
                record = self._earlier(request, pending, outcome)
            case ChangeVerdict.PRECONDITION_FAILED if request.memory_id is None:
                replayed = True  # an earlier attempt of this create has made it, and is forgotten
                self._check_there(record)
            case _:
                if request.idempotency_key is None and outcome.first_round:
                    # nobody can have sent it before
                    outcome = outcome._replace(may_have_applied=False)
                raise problem_of(outcome, self._clock.physical_ms())
        return WriteOutcome(
            memory_id=pending.memory_id,
            record=record,
            created=request.memory_id is None or (outcome.created and not replayed),
            replayed=replayed,
            model=model,
            session=session.wrote(key_hash(pending.namespace, pending.memory_id), record.version),
            acks=outcome.acks,
            replicas=outcome.replicas,
        )

    def _earlier(
        self, request: WriteRequest, pending: PendingWrite, outcome: RegisterOutcome
    ) -> Record:
        """Return what an earlier attempt has made, which may have been changed again since."""
        version = Version(outcome.version)
        record = outcome.record
        if record.version[1:] != version[1:]:
            if request.memory_id is None:
                self._check_there(record)
            return pending.record(version)
        if request.patch is None and split_body(record.body)[1] != pending.memory:
            raise ProblemError("idempotency-key-reused", "the key was used with another body")
        return record

    def _check_there(self, record: Record) -> None:
        if is_absent(record, self._clock.physical_ms()):
            detail = "this key's memory was created, and has been deleted or has expired since"
            raise ProblemError("gone", detail)


def problem_of(outcome: RegisterOutcome, now_ms: int) -> ProblemError:
    """Return the problem of a change that was refused, or of one whose fate is not known."""
    told: Outcome = "indeterminate" if outcome.may_have_applied else "not-applied"
    if outcome.verdict is ChangeVerdict.REFUSED:
        field = msgspec.json.decode(outcome.reason, type=PatchFault)
        detail = f"the patched memory is not valid: {field.path}: {field.message}"
        errors = ((field.path, field.message),)
        return ProblemError("validation-failed", detail, outcome=told, errors=errors)
    if outcome.verdict in _PROBLEMS:
        code, detail = _PROBLEMS[outcome.verdict]
        return ProblemError(code, detail, outcome=told)
    current = None if is_absent(outcome.record, now_ms) else outcome.record
    if outcome.verdict is ChangeVerdict.INDETERMINATE or outcome.may_have_applied:
        failure = PreconditionFailedError(current, outcome="indeterminate", detail=_FORGOTTEN)
        if outcome.first_round:
            failure.extra = {**failure.extra, "doubt": EARLIER_REQUEST}
        return failure
    detail = "the memory is not the one that the condition names"
    return PreconditionFailedError(current, outcome="not-applied", detail=detail)


def call_of(request: WriteRequest, pending: PendingWrite) -> ChangeCall:
    """Return the operation that a request asks of its register."""
    return ChangeCall(
        slot=pending.slot,
        key=pending.key,
        op=pending.op,
        action=_action_of(request),
        kind=_kind_of(request),
        writer=pending.writer,
        memory=pending.memory if request.patch is None else request.patch,
        flags=pending.flags,
        expires_after_ms=pending.expires_after_ms or 0,
        if_match=_ballot_of(request.if_match),
        lease=request.fence and request.fence.lease,
        fence=request.fence.fence if request.fence else 0,
        unguard=request.unguard,
    )


def _action_of(request: WriteRequest) -> Action:
    if request.touch:
        return Action.TOUCH
    if request.patch is not None:
        return Action.PATCH
    return Action.DELETE if request.memory is None else Action.PUT


def _kind_of(request: WriteRequest) -> ChangeKind:
    if request.create_only or request.memory_id is None:
        return ChangeKind.CREATE
    if request.if_match == "*":
        return ChangeKind.REPLACE
    if request.touch or request.patch is not None:
        return ChangeKind.UPDATE
    return ChangeKind.WRITE


def _ballot_of(etag: str | None) -> bytes | None:
    """Return what a condition asks the version to be; no condition, or any version: None."""
    if etag is None or etag == "*":
        return None
    parsed = parse_etag(etag)
    return _NO_SUCH_ETAG if parsed is None else make_ballot(*parsed)
