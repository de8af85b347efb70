"""Every error the client raises: one class per problem code of the server, below what a caller can do.

The list of codes is closed and equals the server's table; a test holds them together. A code that this
version does not know raises its parent by status, so `except Unavailable` goes on working.

Source: RFC 9457 for the document, api.md §3.2 for the codes.
"""
# ruff: noqa: N818 - a class is named like its code, and callers read `except NotFound`

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

if TYPE_CHECKING:
    from memory_spine.models import BatchResult, Memory


class SpineError(Exception):
    """Anything this client raises on purpose. It can be copied and pickled with all it holds.

    `may_have_been_applied` is true when a write failed without proof that no attempt of it took
    effect. Sending it again with the same `key` is then safe.
    """

    status: int = 0  # of the HTTP answer; 0 when there was none
    retryable: bool = False  # the same request may succeed later
    retry_after_ms: int = 0  # not before so long from now
    may_have_been_applied: bool = False

    def settle(self) -> None:
        """Drop a doubt that only an earlier request with the same key could justify."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The inherited one calls the class with `args`, which are the message and not the
        # parameters: unpickling fails, and `multiprocessing.Pool` then waits forever.
        return _restored, (type(self), self.args, self.__dict__.copy())


def _restored(kind: type[SpineError], args: tuple[Any, ...], state: dict[str, Any]) -> SpineError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ConfigError(SpineError):
    """An option or an argument is wrong; the message names the cure. Nothing was sent."""


class ConnectionFailed(SpineError):
    """No whole answer came from `url`; `sent` is false when the request cannot have arrived."""

    retryable = True

    def __init__(self, url: str, reason: str, *, sent: bool) -> None:
        super().__init__(f"{url}: {reason}")
        self.url = url
        self.sent = sent
        self.may_have_been_applied = sent


class UnexpectedAnswer(SpineError):
    """Something answered that does not speak this protocol: a proxy, or another server."""

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__(f"{url} answered {status}, {reason}; is this the address of a node?")
        self.status = status
        self.retryable = status in {429, 502, 503, 504}
        self.may_have_been_applied = status < 300 or status >= 500


class NotSent(SpineError):
    """This operation of a batch was not sent, because an earlier request of the batch failed."""


class BatchFailed(SpineError):
    """Operations of a batch failed; `result` tells what became of each, in their order.

    The operations without an `error` have been applied.
    """

    def __init__(self, result: "BatchResult") -> None:
        errors = [item.error for item in result.results if item.error is not None]
        super().__init__(f"{len(errors)} of {len(result.results)} operations failed: {errors[0]}")
        self.result = result
        self.status = errors[0].status
        self.retryable = all(error.retryable for error in errors)
        self.retry_after_ms = max(error.retry_after_ms for error in errors)
        self.may_have_been_applied = any(error.may_have_been_applied for error in errors)


class ProblemError(SpineError):
    """The server refused or failed, and said why.

    `outcome` is what the last answer said of a failed write (`not-applied`, `indeterminate`, None on
    reads); `may_have_been_applied` also counts the attempts before it.
    """

    classes: ClassVar[dict[str, type["ProblemError"]]] = {}  # code → class
    code: str = ""

    def __init_subclass__(cls, *, code: str = "", status: int = 0) -> None:
        super().__init_subclass__()
        if code:
            cls.code, cls.status = code, status
            ProblemError.classes[code] = cls

    def __init__(self, problem: Mapping[str, Any], status: int) -> None:
        self.problem = dict(problem)  # the whole document
        self.code = str(problem.get("code", ""))
        self.status = status
        self.outcome: str | None = problem.get("outcome")
        self.retryable = problem.get("retryable") is True
        self.request_id: str = str(problem.get("request_id", ""))
        self.retry_after_ms = int(problem.get("retry_after_ms") or 0)
        self.may_have_been_applied = self.outcome == "indeterminate"
        super().__init__(self._message())

    def settle(self) -> None:
        """Drop a doubt that only an earlier request with the same key could justify."""
        if self.problem.get("doubt") == "earlier-request":
            self.outcome, self.may_have_been_applied = "not-applied", False

    def _message(self) -> str:
        detail = self.problem.get("detail") or self.problem.get("title") or "no detail given"
        places = [
            f"{error.get('path')}: {error.get('message')}"
            for error in self.problem.get("errors") or ()
        ]
        if len(places) == 1 and places[0].endswith(detail):  # it says the same, and where
            detail, places = places[0], []
        more = "; ".join(place for place in places if place not in detail)
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.code}: {detail}{' - ' if more else ''}{more}{request}"


# What a caller can do, by family.


class BadRequest(ProblemError):
    """Change the request: it can never succeed as it is."""


class AccessError(ProblemError):
    """Use another credential, or less of the quota."""


class NotFound(ProblemError, code="not-found", status=404):
    """No such memory, or the namespace is not yours."""


class Conflict(ProblemError):
    """Somebody else holds what the request needs."""


class ConditionError(ProblemError):
    """A condition of the request does not hold: read again and decide anew."""


class Unavailable(ProblemError):
    """The cluster cannot do it now; the retries were used up."""


# One class per code.


class InvalidRequest(BadRequest, code="invalid-request", status=400):
    """Syntax, header or parameter."""


class InvalidSession(BadRequest, code="invalid-session", status=400):
    """The session token was not signed by this cluster."""


class MethodNotAllowed(BadRequest, code="method-not-allowed", status=405):
    """The path has no such method."""


class UnsupportedMediaType(BadRequest, code="unsupported-media-type", status=415):
    """The body must be application/json."""


class TooLarge(BadRequest, code="too-large", status=413):
    """The body is larger than `cluster().limits` allows."""


class NotHome(BadRequest, code="not-home", status=421):
    """Another region is the home of this namespace; `problem["home"]` is its address."""


class Misdirected(BadRequest, code="misdirected", status=421):
    """This node is not the store the request names."""


class ValidationFailed(BadRequest, code="validation-failed", status=422):
    """A field is wrong; `problem["errors"]` names it."""


class InvalidFilter(BadRequest, code="invalid-filter", status=422):
    """The filter is outside the grammar."""


class FilterTooCostly(BadRequest, code="filter-too-costly", status=422):
    """Add a field that an index serves."""


class IdempotencyKeyReused(BadRequest, code="idempotency-key-reused", status=422):
    """The key was used for another body."""


class SearchModeUnavailable(BadRequest, code="search-mode-unavailable", status=422):
    """This namespace cannot search in that mode."""


class NotSupported(BadRequest, code="not-implemented", status=501):
    """This version of the server does not do that."""


class Unauthenticated(AccessError, code="unauthenticated", status=401):
    """No valid API key."""


class Forbidden(AccessError, code="forbidden", status=403):
    """The key lacks the scope."""


class QuotaExceeded(AccessError, code="quota-exceeded", status=403):
    """The namespace is full."""


class Gone(NotFound, code="gone", status=410):
    """The memory was deleted."""


class LeaseHeld(Conflict, code="lease-held", status=409):
    """Another holder has the lease, for `retry_after_ms` at least unless it is given back."""

    @property
    def holder(self) -> str | None:
        """Who has it."""
        holder: str | None = self.problem.get("holder")
        return holder


class LeaseLost(Conflict, code="lease-lost", status=409):
    """The lease passed on."""


class GuardConflict(Conflict, code="guard-conflict", status=409):
    """Another lease guards the memory."""


class AlreadyExists(Conflict, code="already-exists", status=409):
    """An import met a memory that is there."""


class StaleEpoch(Conflict, code="stale-epoch", status=409):
    """The node already follows a newer topology document."""


class EpochConflict(Conflict, code="epoch-conflict", status=409):
    """The node follows another topology document of the same epoch."""


class PreconditionFailed(ConditionError, code="precondition-failed", status=412):
    """The memory is not the version the condition names."""

    @property
    def current(self) -> "Memory | None":
        """The memory as it is; None when there is none, or when the server did not tell it."""
        from memory_spine.models import Memory  # noqa: PLC0415 - models know errors

        try:
            return msgspec.convert(self.problem.get("current"), Memory)
        except msgspec.ValidationError:
            return None

    @property
    def current_version(self) -> str | None:
        """The version that stands there; None when there is none, or when it was not told."""
        version: str | None = self.problem.get("current_version")
        return version


class FenceStale(ConditionError, code="fence-stale", status=412):
    """A newer holder of the lease has written."""


class FenceRequired(ConditionError, code="fence-required", status=412):
    """The memory is guarded by a lease."""


class PreconditionRequired(ConditionError, code="precondition-required", status=428):
    """The namespace wants a condition on every write."""


class RateLimited(Unavailable, code="rate-limited", status=429):
    """Your key sends too fast."""


class InternalError(Unavailable, code="internal", status=500):
    """A fault of the server."""


class Overloaded(Unavailable, code="overloaded", status=503):
    """The node has too much to do."""


class NotReady(Unavailable, code="not-ready", status=503):
    """The node is starting, draining or leaving."""


class ClockSkew(Unavailable, code="clock-skew", status=503):
    """The clocks of the nodes are too far apart."""


class Busy(Unavailable, code="busy", status=503):
    """The node works on another administrative call."""


class QuorumUnavailable(Unavailable, code="quorum-unavailable", status=503):
    """Too few replicas answered."""


class SessionUnsatisfied(Unavailable, code="session-unsatisfied", status=503):
    """What this session wrote or saw could not be reached in time."""


class CoverageIncomplete(Unavailable, code="coverage-incomplete", status=503):
    """Part of the key space did not answer."""


class DeadlineExceeded(Unavailable, code="deadline-exceeded", status=504):
    """The time given was too short."""


class StorageFull(Unavailable, code="storage-full", status=507):
    """The disks of the replicas are full."""


_PARENTS: tuple[tuple[range | frozenset[int], type[ProblemError]], ...] = (
    (frozenset({401, 403}), AccessError),
    (frozenset({404, 410}), NotFound),
    (frozenset({409}), Conflict),
    (frozenset({412, 428}), ConditionError),
    (frozenset({429, *range(500, 600)}), Unavailable),
    (range(400, 500), BadRequest),
)


def error_of(problem: Mapping[str, Any], status: int) -> ProblemError:
    """Return the error of one problem document; of an unknown code, its parent by status."""
    known = ProblemError.classes.get(str(problem.get("code", "")))
    parent = next((kind for statuses, kind in _PARENTS if status in statuses), ProblemError)
    return (known or parent)(problem, status)
