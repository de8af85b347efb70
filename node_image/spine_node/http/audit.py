"""The audit: one line for every write and every refused request. Never any content.

Its lines have the form of the log (`spine_core.json_lines`) and go where it goes, past `logging`, whose
records cost a create more than its decoding and rendering together. Source: api.md §5.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from spine_core.errors import ProblemError
from spine_core.instants import rfc3339
from spine_node.http.identity import Principal

LOGGER: Final = "spine.audit"
REFUSED: Final = frozenset({401, 403, 404, 429})  # statuses that are noted whatever was asked


class AuditLog(msgspec.Struct, frozen=True):
    """Where the lines of one node go."""

    node: str
    write: Callable[[str], None] | None  # takes a line; None: nobody asked for an audit
    physical_ms: Callable[[], int]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of one audited request."""

    log: AuditLog
    request_id: str
    remote: str
    action: str
    principal: Principal | None = None  # None: the credential was not found good
    namespace: str | None = None
    memory_id: str | None = None


class _Line(msgspec.Struct):
    """One line, its fields in their order."""

    ts: str
    level: str
    event: str
    logger: str
    request_id: str
    subject: str | None
    key_id: str | None
    action: str
    namespace: str | None
    id: str | None
    outcome: str
    status: int
    code: str | None
    node: str
    remote: str


_encode = msgspec.json.Encoder().encode


def note(attempt: Attempt, status: int, problem: ProblemError | None = None) -> None:
    """Write the line: `applied`, or what may have become of a write that failed."""
    log, who = attempt.log, attempt.principal
    if log.write is None:
        return
    line = _Line(
        rfc3339(log.physical_ms()),
        "info",
        "audit",
        LOGGER,
        attempt.request_id,
        who.subject if who else None,
        who.key_id if who else None,
        attempt.action,
        attempt.namespace,
        attempt.memory_id,
        problem.outcome or "indeterminate" if problem else "applied",
        status,
        problem.code if problem else None,
        log.node,
        attempt.remote,
    )
    log.write(_encode(line).decode())
