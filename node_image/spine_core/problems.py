"""The closed table of problem codes: HTTP status, whether to retry, what became of a write.

Adding a code is a minor release; changing a row is a major one. The last five rows belong to the
admin plane and to endpoints whose name is reserved.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

Outcome = Literal["not-applied", "indeterminate"]  # of a failed write


class ProblemKind(NamedTuple):
    """What a code means wherever it is used."""

    status: int  # HTTP
    retryable: bool  # the same request may succeed later
    outcome: Literal["not-applied", "indeterminate", "either"] | None  # None: reads only
    title: str


def _refused(status: int, title: str, *, retryable: bool = False) -> ProblemKind:
    """Return the kind of a request that was certainly not applied."""
    return ProblemKind(status, retryable, "not-applied", title)


PROBLEMS: Mapping[str, ProblemKind] = MappingProxyType(
    {
        "invalid-request": _refused(400, "The request is malformed"),
        "invalid-session": _refused(400, "The session token is not valid"),
        "unauthenticated": _refused(401, "A valid credential is needed"),
        "forbidden": _refused(403, "The credential does not allow this"),
        "quota-exceeded": _refused(403, "The quota of the namespace is used up"),
        "not-found": _refused(404, "Nothing is here"),
        "method-not-allowed": _refused(405, "The path does not know this method"),
        "unsupported-media-type": _refused(415, "The media type is not supported"),
        "lease-held": _refused(409, "Another holder has the lease", retryable=True),
        "lease-lost": _refused(409, "The lease is no longer yours"),
        "guard-conflict": _refused(409, "The record is guarded by another lease"),
        "already-exists": _refused(409, "The record exists already"),
        "gone": _refused(410, "The record was deleted"),
        "precondition-failed": ProblemKind(412, False, "either", "The condition does not hold"),
        "fence-stale": _refused(412, "A newer fence has touched the record"),
        "fence-required": _refused(412, "The record takes fenced writes only"),
        "too-large": _refused(413, "The body is too large"),
        "not-home": _refused(421, "Another region is the home of this namespace"),
        "validation-failed": _refused(422, "The content is not valid"),
        "invalid-filter": _refused(422, "The filter is not valid"),
        "filter-too-costly": _refused(422, "The filter is too costly"),
        "idempotency-key-reused": _refused(422, "The idempotency key belongs to another body"),
        "search-mode-unavailable": _refused(422, "The search mode is not available here"),
        "precondition-required": _refused(428, "The namespace takes conditional writes only"),
        "rate-limited": _refused(429, "The credential is over its rate", retryable=True),
        "internal": ProblemKind(500, True, "indeterminate", "The node failed"),
        "overloaded": _refused(503, "The node is overloaded", retryable=True),
        "not-ready": _refused(503, "The node is not ready", retryable=True),
        "clock-skew": _refused(503, "The clock of the node is off", retryable=True),
        "quorum-unavailable": ProblemKind(503, True, "either", "Too few replicas answered"),
        "session-unsatisfied": ProblemKind(503, True, None, "No replica has your writes yet"),
        "coverage-incomplete": ProblemKind(503, True, None, "Part of the key space did not answer"),
        "deadline-exceeded": ProblemKind(504, True, "either", "The deadline passed"),
        "storage-full": ProblemKind(507, False, "either", "The storage is full"),
        "not-implemented": _refused(501, "The name is reserved and nothing is built yet"),
        "misdirected": _refused(421, "Another store is addressed"),
        "stale-epoch": _refused(409, "The node knows a newer topology"),
        "epoch-conflict": _refused(409, "The node knows another document of this epoch"),
        "busy": _refused(503, "The node is busy with another change", retryable=True),
    }
)
