"""Arguments that are more than a text: importance, durations, JSON objects and filters."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from memory_spine.errors import ConfigError

IMPORTANCE = {"low": 0.25, "medium": 0.5, "high": 0.75, "critical": 1.0}
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+)([smhdw]?)")
_TEST = re.compile(r"([a-z_]+(?:\.[^\s=!<>]+)?)\s*(!=|>=|<=|=|>|<)\s*(.*)", re.DOTALL)
_OPERATORS = {"=": "$eq", "!=": "$ne", ">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}


def importance_of(text: str) -> float:
    """Read a number or one of the four words.

    Raises:
        ConfigError: it is neither.
    """
    if text in IMPORTANCE:
        return IMPORTANCE[text]
    try:
        return float(text)
    except ValueError:
        words = ", ".join(IMPORTANCE)
        raise ConfigError(f"--importance takes 0..1 or {words}, not {text!r}") from None


def seconds_of(text: str) -> int:
    """Read a duration such as 90, 30m or 7d.

    Raises:
        ConfigError: it is none.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ConfigError(f"a duration is seconds, or a number with s, m, h, d or w; not {text!r}")
    return int(found[1]) * _UNIT_S[found[2]]


def object_of(text: str, option: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ConfigError: it is none.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{option} takes a JSON object: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(f'{option} takes a JSON object such as {{"severity": 3}}')
    return value


def filter_of(
    *, tags: Sequence[str], agent: str | None, user: str | None, where: Sequence[str]
) -> Mapping[str, Any] | None:
    """Build the filter that all these tests together mean; None without any.

    Raises:
        ConfigError: a `where` is no test.
    """
    tests: list[Mapping[str, Any]] = [{"tags": tag} for tag in tags]
    tests += [{"agent_id": agent}] if agent else []
    tests += [{"user_id": user}] if user else []
    tests += [_test_of(text) for text in where]
    if len(tests) < 2:
        return tests[0] if tests else None
    return {"$and": tests}


def _test_of(text: str) -> Mapping[str, Any]:
    found = _TEST.fullmatch(text)
    if found is None:
        raise ConfigError(f"--where takes a test such as 'metadata.severity>=3', not {text!r}")
    field, operator, value = found.groups()
    return {field: {_OPERATORS[operator]: _value_of(value.strip())}}


def _value_of(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # a word needs no quotes
