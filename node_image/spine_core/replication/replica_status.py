"""How a replica answers a call of another node, and which answers leave a put in doubt."""

from enum import StrEnum


class ReplicaStatus(StrEnum):
    """The status of an answer; the last three are made up by the caller."""

    OK = "ok"
    SUPERSEDED = "superseded"
    STRONG = "strong"
    LATE = "late"
    NACK = "nack"  # a round of a higher ballot is in the way
    STALE_EPOCH = "stale-epoch"
    NEED_DOCUMENT = "need-document"
    MISDIRECTED = "misdirected"
    FULL = "full"
    CLOCK_SKEW = "clock-skew"
    BUSY = "busy"
    ERROR = "error"  # the replica failed in the middle: it may have applied
    LOST = "lost"  # sent, and the link broke or the time ran out
    UNREACHABLE = "unreachable"  # never sent
    DAMAGED = "damaged"  # the copy that came fails its checksum, which is no absence


MAY_HAVE_APPLIED = frozenset({ReplicaStatus.OK, ReplicaStatus.ERROR, ReplicaStatus.LOST})
