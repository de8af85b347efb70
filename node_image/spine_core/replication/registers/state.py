"""What a replica keeps of a register, and the value that rounds hand on from one to the next.

A ballot is `hlc u64 | origin u32`, 12 bytes whose order is the order of rounds; it is unique, since a
store issues an HLC timestamp once. The version of a change is the ballot of the round that made it,
with the class "strong".
"""

import struct
from typing import NamedTuple, NewType

from spine_core.records.encoding import FLAG_TOMBSTONE, Record
from spine_core.records.versions import ABSENT, STRONG, Version, hlc_of, make_version, origin_in
from spine_core.scalars import Hlc, Origin

Ballot = NewType("Ballot", bytes)

BALLOT_BYTES = 12
NO_BALLOT = Ballot(bytes(BALLOT_BYTES))  # below the ballot of every round
CHANGES_KEPT = 8  # (op, ballot) pairs of a value: so many later changes still recognise a retry

_LAYOUT = struct.Struct(">QI")


class LeaseGuard(NamedTuple):
    """The lease that fences a record, and the highest fence that has touched it."""

    lease: str
    fence: int


class RegisterValue(NamedTuple):
    """What a round reads, changes and has accepted: a record and where it comes from."""

    record: Record  # of class "strong"; a tombstone where there is nothing
    base: Version  # the weak version it grew from, `ABSENT` without one
    base_op: int  # of the operation that wrote the base, 0 without one
    changes: tuple[tuple[int, Ballot], ...] = ()  # (op, ballot) of the newest, oldest first
    forgotten: Ballot = NO_BALLOT  # of the newest change that `changes` has dropped
    guard: LeaseGuard | None = None


class RegisterState(NamedTuple):
    """The acceptor state of one replica: durable before anybody is answered.

    It exists from the first promise. `accepted` is never above `promised`.
    """

    promised: Ballot
    accepted: Ballot = NO_BALLOT
    value: RegisterValue | None = None  # of `accepted`
    learned: bool = False  # the value was chosen, and the record table has its record


def make_ballot(hlc: Hlc, origin: Origin) -> Ballot:
    """Return the ballot of a round that the store `origin` timestamped with `hlc`."""
    return Ballot(_LAYOUT.pack(hlc, origin))


def ballot_hlc(ballot: Ballot) -> Hlc:
    """Return the timestamp of a ballot."""
    return Hlc(int.from_bytes(ballot[:8], "big"))


def version_of(ballot: Ballot) -> Version:
    """Return the version of what a round changes."""
    hlc, origin = _LAYOUT.unpack(ballot)
    return make_version(hlc, origin, kind=STRONG)


def ballot_in(version: Version) -> Ballot:
    """Return timestamp and origin of a version, weak or strong: what an ETag shows of it."""
    return make_ballot(hlc_of(version), origin_in(version))


def grown_from(held: Record | None) -> RegisterValue:
    """Return the value with which a register begins, from the weak record or from nothing.

    Only the class of the version changes, so an ETag read before stays valid. Nothing becomes a
    tombstone of timestamp zero.
    """
    if held is None:
        version = version_of(NO_BALLOT)
        return RegisterValue(Record(version, 0, b"", flags=FLAG_TOMBSTONE), ABSENT, 0)
    strong = held._replace(version=version_of(ballot_in(held.version)))
    return RegisterValue(strong, held.version, held.op)
