"""Python values as plain JSON: what a caller puts into metadata and filters.

A value is stored as what it means, or refused with the place where it stands; nothing is guessed. So
bytes are refused (base64 would come back as text), and so is a key that is no text (it would come back
as one). What an object holds is looked at as well: dataclasses, and whatever has `model_dump` (pydantic),
`tolist` (numpy) or `__struct_fields__` (msgspec).
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from math import isfinite
from os import PathLike, fspath
from typing import Any
from uuid import UUID

import msgspec

from memory_spine.errors import ConfigError

DEPTH_MAX = 64  # far more than a server takes; whatever is deeper contains itself, or might as well
INTEGERS = range(-(2**63), 2**63)


def plain(value: object, path: str, depth: int = 0) -> Any:
    """Return the value as texts, numbers, booleans, None, lists and dicts.

    Raises:
        TypeError: something in it has no JSON form; the message names its place.
        ConfigError: a number, text or depth that JSON or the server does not know.
    """
    if depth > DEPTH_MAX:
        raise ConfigError(f"{path} is nested deeper than {DEPTH_MAX}, or contains itself")
    kind = type(value)
    if kind is str:
        return checked_text(str(value), path)
    if value is None or kind is bool:
        return value
    if kind is int or kind is float:
        return checked_number(value, path)
    if kind is dict or isinstance(value, Mapping):
        return _plain_mapping(value, path, depth)  # type: ignore[arg-type]
    if kind is list or kind is tuple:
        return _plain_items(value, path, depth)  # type: ignore[arg-type]
    return _plain_other(value, path, depth)


def checked_text(text: str, path: str) -> str:
    """Return a text that UTF-8 can tell.

    Raises:
        ConfigError: it holds half of a surrogate pair.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"{path} is not UTF-8: half of a surrogate pair at character {error.start}"
        raise ConfigError(message) from None
    return text


def checked_number(number: Any, path: str) -> Any:
    """Return a number that every reader of JSON takes for the same.

    Raises:
        ConfigError: NaN, infinity, or an integer beyond 64 bits.
    """
    if isinstance(number, float):
        if not isfinite(number):
            raise ConfigError(f"{path} is NaN or infinite, which JSON cannot tell")
    elif number not in INTEGERS:
        raise ConfigError(f"{path} is an integer beyond 64 bits; a text keeps it whole")
    return number


def _plain_mapping(value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, item in value.items():
        name = _name(key, path)
        fields[name] = plain(item, f"{path}.{name}", depth + 1)
    return fields


def _name(key: object, path: str) -> str:
    if type(key) is str and key.isascii():
        return key
    name = key.value if isinstance(key, Enum) else key
    if not isinstance(name, str):
        raise TypeError(f"{path} has the key {key!r}; keys are texts, not {_kind(key)}")
    return checked_text(str(name), f"a key of {path}")


def _plain_items(value: Iterable[object], path: str, depth: int) -> list[Any]:
    return [plain(item, f"{path}[{count}]", depth + 1) for count, item in enumerate(value)]


def _plain_other(value: object, path: str, depth: int) -> Any:
    """Return what the less common kinds mean."""
    for kind, meaning in _MEANINGS:
        if isinstance(value, kind):
            return plain(meaning(value), path, depth + 1)
    if isinstance(value, AbstractSet):
        items = _plain_items(value, path, depth)
        return sorted(items, key=msgspec.json.encode)  # one body, whatever the order of a set
    if isinstance(value, type) or not (fields := _fields_of(value)):
        raise TypeError(f"{path} is {_kind(value)}, which has no JSON form{_advice(value)}")
    return plain(fields(), path, depth + 1)


# First match. `str(...)` and the like take the plain value out of a subclass.
_MEANINGS: tuple[tuple[Any, Callable[[Any], object]], ...] = (
    (Enum, lambda value: value.value),
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    ((list, tuple), list),
    ((datetime, date, time), lambda value: value.isoformat()),
    ((UUID, Decimal), str),
    (PathLike, fspath),
)


def _fields_of(value: object) -> Callable[[], object] | None:
    for method in ("model_dump", "tolist"):
        if callable(found := getattr(value, method, None)):
            return found  # type: ignore[no-any-return]
    names: Iterable[str] = getattr(value, "__struct_fields__", ())
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    if names:
        return lambda: {name: getattr(value, name) for name in names}
    return None


def _kind(value: object) -> str:
    return type(value).__name__


def _advice(value: object) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return "; decode it to text first"
    return ""
