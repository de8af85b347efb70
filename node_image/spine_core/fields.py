"""Read a JSON object field by field; whatever is wrong is named by its path. Pure.

Every reader takes the field's name and answers a value of one type inside its limits.
"""

import re
from collections.abc import Mapping
from typing import Any

from spine_core.errors import InvalidInputError

_MISSING = object()
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Fields:
    """One JSON object and the path at which it stands ("" at the top).

    Raises:
        InvalidInputError: what stands there is no object.
    """

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, Mapping):
            raise InvalidInputError("must be an object", path=path)
        self._value: Mapping[str, Any] = value
        self.path = path

    def at(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def names(self) -> tuple[str, ...]:
        """Return the names that are present, in their order."""
        return tuple(self._value)

    def only(self, *allowed: str) -> None:
        """Refuse every field that is not in the list."""
        for name in self._value:
            if name not in allowed:
                raise InvalidInputError("is not a known field", path=self.at(name))

    def text(self, name: str, *, longest: int = 255, empty: bool = False) -> str:
        """Return a text of at most `longest` characters."""
        value = self._get(name)
        if not isinstance(value, str) or len(value) > longest or not (value or empty):
            raise InvalidInputError(
                f"must be a text of 1..{longest} characters", path=self.at(name)
            )
        return value

    def uuid(self, name: str) -> str:
        """Return a UUID in its lower-case form."""
        value = self._get(name)
        if not isinstance(value, str) or not _UUID.fullmatch(value):
            raise InvalidInputError("must be a UUID in lower case", path=self.at(name))
        return value

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        """Return one of the given words."""
        value = self._get(name)
        if not isinstance(value, str) or value not in choices:
            raise InvalidInputError(f"must be one of {', '.join(choices)}", path=self.at(name))
        return value

    def whole(self, name: str, lowest: int, highest: int) -> int:
        """Return a whole number inside its limits, both included."""
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            message = f"must be a whole number, {lowest}..{highest}"
            raise InvalidInputError(message, path=self.at(name))
        return value

    def seconds(self, name: str) -> float:
        """Return an age or a duration in seconds, not negative."""
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise InvalidInputError("must be a number of seconds >= 0", path=self.at(name))
        return float(value)

    def truth(self, name: str) -> bool:
        """Return true or false."""
        value = self._get(name)
        if not isinstance(value, bool):
            raise InvalidInputError("must be true or false", path=self.at(name))
        return value

    def inner(self, name: str) -> "Fields":
        """Return the object in a field."""
        return Fields(self._get(name), self.at(name))

    def items(self, name: str) -> "tuple[Fields, ...]":
        """Return the objects of a list."""
        value = self._get(name)
        if not isinstance(value, list | tuple):
            raise InvalidInputError("must be a list", path=self.at(name))
        return tuple(Fields(item, f"{self.at(name)}[{i}]") for i, item in enumerate(value))

    def texts(self, name: str, *, longest: int = 255) -> tuple[str, ...]:
        """Return a list of texts of 1..`longest` characters each."""
        value = self._get(name)
        if not isinstance(value, list | tuple):
            raise InvalidInputError("must be a list", path=self.at(name))
        listed = Fields({f"{name}[{i}]": item for i, item in enumerate(value)}, self.path)
        return tuple(listed.text(each, longest=longest) for each in listed.names())

    def numbered(self, name: str, lowest: int, highest: int) -> tuple[int, ...]:
        """Return the names of an object whose names are whole numbers inside their limits."""
        inner = self.inner(name)
        for text in inner.names():
            plain = text.isascii() and text.isdigit() and str(int(text)) == text
            if not plain or not lowest <= int(text) <= highest:
                message = f"must be named by a whole number, {lowest}..{highest}"
                raise InvalidInputError(message, path=inner.at(text))
        return tuple(int(text) for text in inner.names())

    def wholes(self, name: str, count: int, highest: int) -> tuple[int, ...]:
        """Return a list of `count` whole numbers, 0..highest."""
        value = self._get(name)
        if not isinstance(value, list | tuple) or len(value) != count:
            raise InvalidInputError(f"must be a list of {count} numbers", path=self.at(name))
        listed = Fields({f"{name}[{i}]": item for i, item in enumerate(value)}, self.path)
        return tuple(listed.whole(each, 0, highest) for each in listed.names())

    def absent(self, name: str) -> bool:
        """Whether the field is missing or null."""
        return self._value.get(name) is None

    def _get(self, name: str) -> Any:
        value = self._value.get(name, _MISSING)
        if value is _MISSING:
            raise InvalidInputError("is missing", path=self.at(name))
        return value
