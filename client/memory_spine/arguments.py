"""The arguments of the public methods: what each may be, and the value that is sent.

A wrong kind is a `TypeError`, a wrong value a `ConfigError`; both name the argument. Nothing else may
reach the encoder, which would raise without a name, or send something else than was meant.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from math import ceil
from typing import Any, TypeAlias
from uuid import UUID

from memory_spine.errors import ConfigError
from memory_spine.plain_json import checked_number, checked_text, plain

Identifier: TypeAlias = str | UUID
Seconds: TypeAlias = float | timedelta  # a length of time


def text(value: object, name: str) -> str:
    """Return a text.

    Raises:
        TypeError: it is none.
        ConfigError: it cannot be told in UTF-8.
    """
    if type(value) is str and value.isascii():
        return value
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, not {_kind(value)}{_advice(value)}")
    return checked_text(str.__str__(value), name)


def identifier(value: object, name: str) -> str:
    """Return a name: a text that is not empty, or a UUID as its text.

    Raises:
        TypeError, ConfigError: as `text`; or it is empty.
    """
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text or a UUID, not {_kind(value)}{_advice(value)}")
    if not value:
        raise ConfigError(f"{name} is empty")
    return text(value, name)


def optional_identifier(value: object, name: str) -> str | None:
    """Return a name, or None for none."""
    return None if value is None else identifier(value, name)


def texts(value: object, name: str) -> list[str]:
    """Return a list of texts. Their order counts, so a set is refused.

    Raises:
        TypeError: it is no sequence, or holds something else than texts.
    """
    if type(value) is not list and (
        isinstance(value, str | bytes) or not isinstance(value, Sequence)
    ):
        raise TypeError(f"{name} must be a sequence of texts, not {_kind(value)}")
    return [
        item if type(item) is str and item.isascii() else text(item, f"{name}[{count}]")
        for count, item in enumerate(value)
    ]


def identifiers(value: object, name: str) -> list[str]:
    """Return a list of names."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a sequence of texts, not {_kind(value)}")
    return [identifier(item, f"{name}[{count}]") for count, item in enumerate(value)]


def number(value: object, name: str) -> float:
    """Return a finite number; numpy's and other kinds of float are numbers too.

    Raises:
        TypeError: it is none.
        ConfigError: it is NaN or infinite.
    """
    if isinstance(value, bool) or not hasattr(value, "__float__") or isinstance(value, str):
        raise TypeError(f"{name} must be a number, not {_kind(value)}")
    exact: float = checked_number(int(value) if isinstance(value, int) else float(value), name)
    return exact


def whole(value: object, name: str) -> int:
    """Return an integer.

    Raises:
        TypeError: it is none.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, not {_kind(value)}")
    exact: int = checked_number(value.__index__(), name)
    return exact


def seconds(value: object, name: str) -> int:
    """Return a time to live: seconds or a `timedelta`, rounded up, so that nothing ends too early.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(value, timedelta):
        return ceil(value.total_seconds())
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be seconds or a timedelta, not {_kind(value)}")
    exact: float = checked_number(value, name)
    return ceil(exact)


def milliseconds(value: object, name: str) -> int:
    """Return a length of time, in seconds or a `timedelta`, as milliseconds, rounded up.

    Raises:
        TypeError: it is neither.
        ConfigError: it is negative, NaN or infinite.
    """
    exact = value.total_seconds() if isinstance(value, timedelta) else number(value, name)
    if exact < 0:
        raise ConfigError(f"{name} must not be negative, not {exact}")
    return ceil(round(exact * 1000, 3))


def flag(value: object, name: str) -> bool:
    """Return a boolean.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {_kind(value)}")
    return value


def fields(value: object, name: str) -> dict[str, Any]:
    """Return an object with fields as a dict: a mapping, a dataclass, a pydantic model.

    Raises:
        TypeError, ConfigError: it is none, or holds what JSON cannot tell.
    """
    found = None if value is None else plain(value, name)
    if not isinstance(found, dict):
        raise TypeError(f"{name} must be a mapping, not {_kind(value)}")
    return found


def one_of(value: object, name: str, allowed: Sequence[str]) -> str:
    """Return one of the allowed words.

    Raises:
        ConfigError: it is another.
    """
    if value not in allowed:
        raise ConfigError(f"{name} is one of {', '.join(allowed)}, not {value!r}")
    return str(value)


def vector(value: object, name: str) -> dict[str, Any]:
    """Return an embedding: its vector as floats, and the name of its model.

    Raises:
        TypeError, ConfigError: it is none, or holds what is no finite number.
    """
    given = value if isinstance(value, Mapping) else {
        field: getattr(value, field, None) for field in ("vector", "model")
    }  # fmt: skip
    items = given.get("vector")
    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        raise TypeError(f'{name} must be {{"vector": [...], "model": "..."}}')
    found: dict[str, Any] = {
        key: plain(item, f"{name}.{key}")
        for key, item in given.items()
        if key != "vector" and item is not None
    }
    numbers = items.tolist() if hasattr(items, "tolist") else items
    found["vector"] = [number(item, f"{name}.vector[{n}]") for n, item in enumerate(numbers)]
    return found


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _advice(value: object) -> str:
    return "; decode it first" if isinstance(value, bytes | bytearray | memoryview) else ""
