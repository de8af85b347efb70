"""The conditions of a write: what must hold for it to be applied, decided with the write itself.

`if_match` names the version that must stand there, `create_only` asks for nothing to stand there, and a
fence proves the grant of a lease. A refused condition tells the memory as it is, so that whoever lost a
race need not read again.

Source: RFC 9110 §13.1 (If-Match, If-None-Match), RFC 7240 (Prefer), api.md §2.1 and §2.5.
"""

import re
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeAlias

from memory_spine import arguments
from memory_spine.errors import ConfigError

_ETAG = re.compile(r'"[^"]{1,32}"|\*')
_VERSION = re.compile(r"[0-9A-Za-z-]{1,32}")
_FENCE = re.compile(r"([A-Za-z0-9._:@~-]{1,200})=([0-9]{1,18})")


class Granted(Protocol):
    """A lease that somebody holds: what a fence is made of."""

    @property
    def key(self) -> str:
        """The name of the lease."""

    @property
    def fence(self) -> int:
        """The number of its grant."""


FenceLike: TypeAlias = Granted | str  # a held lease, or `key=number` as a colleague hands it on


class Fence(NamedTuple):
    """One grant of a lease; a later one has a higher number."""

    lease: str
    number: int

    def __str__(self) -> str:
        return f"{self.lease}={self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What one write asks to be true."""

    if_match: str | None = None  # an ETag, or * for whatever stands there
    create_only: bool = False
    fence: Fence | None = None

    def under(self, fence: Fence | None) -> "Condition":
        """Return the same with the fence of a view, unless it has one of its own."""
        return self if fence is None or self.fence is not None else replace(self, fence=fence)

    def headers(self) -> dict[str, str]:
        """Return the condition of a request."""
        headers = {}
        if self.if_match is not None:
            headers["If-Match"] = self.if_match
        if self.create_only:
            headers["If-None-Match"] = "*"
        if headers:
            headers["Prefer"] = "return=representation"
        if self.fence is not None:
            headers["Spine-Fence"] = str(self.fence)
        return headers

    def fields(self) -> dict[str, Any]:
        """Return the condition of one operation of a batch."""
        fields: dict[str, Any] = {}
        if self.if_match is not None:
            fields["if_match"] = self.if_match
        if self.create_only:
            fields["if_none_match"] = "*"
        if self.fence is not None:
            fields["fence"] = {"lease": self.fence.lease, "fence": self.fence.number}
        return fields


UNCONDITIONAL = Condition()


def condition_of(
    *, if_match: object = None, create_only: object = False, fence: FenceLike | None = None
) -> Condition:
    """Return the condition that a caller's arguments mean.

    Raises:
        TypeError, ConfigError: an argument is wrong, or two contradict each other.
    """
    if if_match is fence is None and create_only is False:
        return UNCONDITIONAL  # as most writes are
    if arguments.flag(create_only, "create_only") and if_match is not None:
        raise ConfigError("create_only asks for no memory and if_match for one; give one of them")
    return Condition(
        if_match=None if if_match is None else _etag(if_match),
        create_only=bool(create_only),
        fence=None if fence is None else fence_of(fence),
    )


def fence_of(given: FenceLike) -> Fence:
    """Return the fence of a lease, or the one that a text such as `deploy.prod=42` names.

    Raises:
        TypeError, ConfigError: it is neither.
    """
    if isinstance(given, str):
        if (found := _FENCE.fullmatch(given)) is None:
            raise ConfigError(f"fence is a lease or a text such as deploy.prod=42, not {given!r}")
        return Fence(found[1], int(found[2]))
    key, number = getattr(given, "key", None), getattr(given, "fence", None)
    if not isinstance(key, str) or not isinstance(number, int):
        raise TypeError(f"fence is a lease or a text such as deploy.prod=42, not {given!r}")
    return Fence(key, number)


def _etag(given: object) -> str:
    """Return an ETag as it stands, and a version as an ETag."""
    text = arguments.text(given, "if_match")
    if _VERSION.fullmatch(text):
        return f'"{text}"'
    if not _ETAG.fullmatch(text):
        raise ConfigError(f"if_match is an ETag such as memory.etag, or *, not {text!r}")
    return text
