"""Query parameters: an unknown one is refused (422), a wrong or repeated one is malformed (400)."""

from collections.abc import Collection, Mapping
from typing import NoReturn
from urllib.parse import parse_qsl

from spine_core.errors import InvalidInputError, ProblemError

_FIELDS_MAX = 32
_NONE: Mapping[str, str] = {}


def parse_query(text: str, allowed: Collection[str]) -> Mapping[str, str]:
    """Return the parameters of a query string: name → value.

    Raises:
        InvalidInputError: an unknown name.
        ProblemError: `invalid-request` (syntax, repetition).
    """
    if not text:
        return _NONE
    try:
        pairs = parse_qsl(
            text, True, strict_parsing=True, errors="strict", max_num_fields=_FIELDS_MAX
        )
    except ValueError as error:
        raise ProblemError("invalid-request", "the query string is malformed") from error
    query = dict(pairs)
    for name in query:
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise InvalidInputError(f"unknown parameter; known: {known}", path=name)
    if len(query) < len(pairs):
        raise ProblemError("invalid-request", "a parameter stands twice")
    return query


def choice(query: Mapping[str, str], name: str, choices: Collection[str], default: str) -> str:
    """Return a parameter that is one of a few words."""
    value = query.get(name, default)
    if value not in choices:
        _reject_unsupported(name, f"must be one of {', '.join(choices)}")
    return value


def integer(query: Mapping[str, str], name: str, default: int, bounds: tuple[int, int]) -> int:
    """Return a parameter that is a number between two bounds."""
    value = query.get(name)
    if value is None:
        return default
    low, high = bounds
    if not (value.isascii() and value.isdigit() and len(value) < 10 and low <= int(value) <= high):
        _reject_unsupported(name, f"must be {low} to {high}")
    return int(value)


def flag(query: Mapping[str, str], name: str) -> bool:
    """Return a parameter that is `true` or `false`; absent is false."""
    return choice(query, name, ("false", "true"), "false") == "true"


def includes(query: Mapping[str, str], word: str) -> bool:
    """Return whether `include`, a list with commas, asks for the one thing that it can."""
    value = query.get("include")
    if value is None:
        return False
    if any(item != word for item in value.split(",")):
        _reject_unsupported("include", f"knows only {word}")
    return True


def words(
    query: Mapping[str, str], name: str, known: Collection[str], default: Collection[str]
) -> frozenset[str]:
    """Return a parameter that is a list of words with commas, at least one."""
    value = query.get(name)
    if value is None:
        return frozenset(default)
    given = frozenset(value.split(","))
    if not given <= set(known):
        _reject_unsupported(name, f"must be of {', '.join(known)}, with commas")
    return given


def _reject_unsupported(name: str, message: str) -> NoReturn:
    detail = f"the parameter {name} {message}"
    raise ProblemError("invalid-request", detail, errors=((name, message),))
