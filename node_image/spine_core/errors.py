"""The errors that Memory Spine raises on purpose, named by what the caller can do about them.

Expected failures become a `ProblemError` at the edge, once; a bug stays what it is and crashes.
"""

from collections.abc import Mapping
from types import MappingProxyType

from spine_core.problems import PROBLEMS, Outcome

_NOTHING: Mapping[str, object] = MappingProxyType({})


class SpineError(Exception):
    """Any failure that Memory Spine raises on purpose."""


class InvalidInputError(SpineError):
    """The caller's data is wrong; `path` names the field, as in `metadata.a` or `id`."""

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.message = message
        self.path = path


class ProblemError(SpineError):
    """A failure that a client is shown: its code is a row of the table in problems.py.

    `outcome` tells the writer what became of the write. Where the table leaves it open, silence
    means `indeterminate`: whoever knows that nothing was applied has to say so. To be in doubt is
    never wrong, as when an earlier attempt of the same operation may have been applied.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        outcome: Outcome | None = None,
        errors: tuple[tuple[str, str], ...] = (),
        retry_after_ms: int | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        assert code in PROBLEMS, f"{code} is not in the table"
        kind = PROBLEMS[code]
        assert (
            outcome is None or kind.outcome in (outcome, "either") or outcome == "indeterminate"
        ), f"{code} is not {outcome}"
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = kind.status
        self.retryable = kind.retryable
        self.title = kind.title
        self.outcome: Outcome | None = outcome or (
            "indeterminate" if kind.outcome == "either" else kind.outcome
        )
        self.errors = errors  # (path, message) of each wrong field
        self.retry_after_ms = retry_after_ms
        self.extra = extra or _NOTHING  # further members, as `current_version`


class ClockSkewError(SpineError):
    """A timestamp lies too far ahead of the local clock; the message was not taken."""

    def __init__(self, ahead_ms: int) -> None:
        super().__init__(f"timestamped {ahead_ms} ms ahead of the local clock")
        self.ahead_ms = ahead_ms


class CorruptRecordError(SpineError):
    """Stored or received bytes are no record, or fail their checksum; that is never an absence."""
