"""The greeting that opens a link: who both ends are, and why one refuses the other (protocol.md §4.1, R9).

A pod's address is used again by other pods, and a disk may come back empty: so both ends name their
cluster and their store before anything else is said.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from spine_node.links.frames import WIRE_VERSION
from spine_node.links.methods import Method


class Greeting(msgspec.Struct, array_like=True, frozen=True):
    """What both ends of a link say first."""

    wire: int
    cluster_id: str  # empty while unjoined
    store_id: str
    boot: int
    epoch: int


HELLO = Method("hello", request=Greeting, reply=Greeting)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkIdentity:
    """What this end says, and whom it expects at the other: None where anyone will do."""

    cluster_id: Callable[[], str | None]
    store_id: str
    boot: int
    epoch: Callable[[], int]
    expects: str | None = None

    def greeting(self) -> Greeting:
        """Say who we are at this moment."""
        return Greeting(
            WIRE_VERSION, self.cluster_id() or "", self.store_id, self.boot, self.epoch()
        )


def check_greeting(me: LinkIdentity, other: Greeting) -> str | None:
    """Return why the other end is not to be talked to, None when it is.

    An unjoined node belongs to no cluster yet, so it fits any; that is how it is taken in.
    """
    if other.wire != WIRE_VERSION:
        return f"speaks wire version {other.wire}, this node {WIRE_VERSION}"
    mine = me.cluster_id() or ""
    if mine and other.cluster_id and other.cluster_id != mine:
        return f"belongs to cluster {other.cluster_id}"
    if me.expects and other.store_id != me.expects:
        return f"holds store {other.store_id}, not {me.expects}"
    return None
