"""Render failures as RFC 9457 problems, here and nowhere else.

Invariant: a failed write always carries `outcome`; what is in doubt never says `not-applied`.
Source: api.md §3.2.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from spine_core.errors import InvalidInputError, ProblemError
from spine_node.http.messages import Response

TYPE_PREFIX = "https://memoryspine.io/problems/"
RETRY_AFTER_MS = 1000  # when the failure names no time of its own

_encode = msgspec.json.Encoder().encode


class MethodNotAllowedError(ProblemError):
    """The path is known, the method is not; `methods` are those that it has."""

    def __init__(self, methods: Iterable[str]) -> None:
        known = set(methods)
        self.methods = sorted(known | {"HEAD"} if "GET" in known else known)
        super().__init__("method-not-allowed", "this path does not have this method")


def as_problem(error: InvalidInputError | ProblemError) -> ProblemError:
    """Return the problem that an error of the caller's data amounts to."""
    if isinstance(error, ProblemError):
        return error
    return ProblemError("validation-failed", str(error), errors=((error.path, error.message),))


def problem_object(problem: ProblemError, request_id: str, *, writes: bool) -> dict[str, Any]:
    """Return the JSON object of a problem; `writes` adds the outcome."""
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + problem.code,
        "title": problem.title,
        "status": problem.status,
        "detail": clean(problem.detail),
        "code": problem.code,
        "retryable": problem.retryable,
        "request_id": request_id,
    }
    if writes:
        # a code of reads only says nothing about a write: then the outcome is in doubt
        body["outcome"] = problem.outcome or "indeterminate"
    if problem.retry_after_ms is not None:
        body["retry_after_ms"] = problem.retry_after_ms
    if problem.errors:
        body["errors"] = [
            {"path": clean(path), "message": clean(message)} for path, message in problem.errors
        ]
    return body | dict(problem.extra)


def problem_response(problem: ProblemError, request_id: str, *, writes: bool) -> Response:
    """Return the answer to a request that failed."""
    headers = {"Content-Type": "application/problem+json"}
    if problem.status in (429, 503):
        wait_ms = RETRY_AFTER_MS if problem.retry_after_ms is None else problem.retry_after_ms
        headers["Retry-After"] = str(-(-wait_ms // 1000))
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(problem, MethodNotAllowedError):
        headers["Allow"] = ", ".join(problem.methods)
    body = _encode(problem_object(problem, request_id, writes=writes))
    return Response(problem.status, headers, body)


def clean(text: str) -> str:
    """Return the text without lone surrogates, which no JSON can carry."""
    return text.encode("utf-8", "replace").decode()
