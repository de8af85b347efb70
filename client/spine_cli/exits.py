"""Exit codes, and what a person can do about each failure. Source: api.md §9.3."""

from enum import IntEnum

from memory_spine.errors import (
    AccessError,
    BadRequest,
    ConditionError,
    ConfigError,
    Conflict,
    ConnectionFailed,
    NotFound,
    NotReady,
    SpineError,
    Unauthenticated,
    Unavailable,
)


class Exit(IntEnum):
    """What a script may conclude."""

    OK = 0
    FAILED = 1
    USAGE = 2  # or configuration
    NOT_FOUND = 3
    CONFLICT = 4  # or a condition that does not hold
    REFUSED = 5
    UNAVAILABLE = 6
    INDETERMINATE = 7  # a write that may have been applied


_EXITS: tuple[tuple[tuple[type[SpineError], ...], Exit], ...] = (
    ((ConfigError, BadRequest), Exit.USAGE),
    ((NotFound,), Exit.NOT_FOUND),
    ((Conflict, ConditionError), Exit.CONFLICT),
    ((AccessError,), Exit.REFUSED),
    ((ConnectionFailed, Unavailable), Exit.UNAVAILABLE),
)


def exit_of(error: SpineError) -> Exit:
    """Return the exit code of a failure; an indeterminate write comes before everything else."""
    if error.may_have_been_applied:
        return Exit.INDETERMINATE
    return next((code for kinds, code in _EXITS if isinstance(error, kinds)), Exit.FAILED)


def hint_of(error: SpineError) -> str | None:
    """Return the cure, where there is a usual one."""
    if error.may_have_been_applied:
        return "the write may have been applied; send it again with the same --key, or read first"
    if isinstance(error, ConnectionFailed):
        return "start a node with `spine serve`, or name one with --url or SPINE_URL"
    if isinstance(error, NotReady):
        return "see what the nodes wait for with `spine topology status --cluster FILE`"
    if isinstance(error, Unauthenticated):
        return "set SPINE_API_KEY to a key that `spine key new` made"
    return None
