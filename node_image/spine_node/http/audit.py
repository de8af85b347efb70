"""The audit: one line for every write and every refused request. Never any content.

Source: api.md §5. The process decides where `spine.audit` goes and adds the time.
"""

import logging

import msgspec

from spine_core.errors import ProblemError
from spine_node.http.identity import Principal

logger = logging.getLogger("spine.audit")

REFUSED = frozenset({401, 403, 404, 429})  # statuses that are noted whatever was asked


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of one audited request."""

    node: str
    request_id: str
    remote: str
    action: str
    principal: Principal | None = None  # None: the credential was not found good
    namespace: str | None = None
    memory_id: str | None = None


def note(attempt: Attempt, status: int, problem: ProblemError | None = None) -> None:
    """Write the line: `applied`, or what may have become of a write that failed."""
    if not logger.isEnabledFor(logging.INFO):
        return
    who = attempt.principal
    facts = {
        "request_id": attempt.request_id,
        "subject": who.subject if who else None,
        "key_id": who.key_id if who else None,
        "action": attempt.action,
        "namespace": attempt.namespace,
        "id": attempt.memory_id,
        "outcome": problem.outcome or "indeterminate" if problem else "applied",
        "status": status,
        "code": problem.code if problem else None,
        "node": attempt.node,
        "remote": attempt.remote,
    }
    logger.info("audit", extra=facts)
