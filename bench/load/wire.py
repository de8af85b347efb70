"""What a connection of the closed loop must know of a protocol: bytes out, and when an answer is whole."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Answered:
    """What some received bytes meant."""

    good: int = 0
    bad: int = 0
    reply: bytes = b""  # what the protocol itself wants sent at once


class Wire(Protocol):
    """One connection's side of a protocol with one request in flight."""

    def greeting(self) -> bytes:
        """Return what is sent first."""
        ...

    def request(self, key: bytes, value: bytes) -> bytes:
        """Return one request."""
        ...

    def feed(self, data: bytes) -> Answered:
        """Take received bytes."""
        ...
