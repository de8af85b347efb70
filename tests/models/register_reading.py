"""What the answers to a quorum read of a record amount to (protocol.md §6.3)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from spine_core.records.versions import ABSENT, STRONG, Version, kind_of
from spine_core.replication.quorums import write_done
from spine_core.replication.registers.acceptor import Replica
from spine_core.replication.registers.state import NO_BALLOT, Ballot
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.placement import Placement


class ReadReply(NamedTuple):
    """What one replica answers."""

    held: Version = ABSENT  # of its record
    accepted: Ballot = NO_BALLOT  # of a value that it has not learned
    value: Version = ABSENT  # of that value
    promised: Ballot = NO_BALLOT  # without acceptor state none


class ReadVerdict(StrEnum):
    FOUND = "found"  # the version may be shown
    WRITE_BACK = "write-back"  # once it is on a write quorum
    IDENTITY = "identity"  # only a round can tell


def reply_of(replica: Replica) -> ReadReply:
    held = ABSENT if replica.held is None else replica.held.version
    register = replica.register
    if register is None:
        return ReadReply(held)
    if register.value is None or register.learned:
        return ReadReply(held, promised=register.promised)
    version = register.value.record.version
    return ReadReply(held, register.accepted, version, register.promised)


def judge_read(
    replies: Mapping[StoreNumber, ReadReply], placement: Placement, slot: Slot, *, trusting: bool
) -> tuple[ReadVerdict, Version, Ballot]:
    """Judge a majority. What was learned is chosen; any other copy may lie beside a newer promise.

    A store that gains a slot takes copies from its sources after it has made promises, so a round
    may go on without them. `trusting` believes such copies all the same.
    """
    top = max(max(reply.held, reply.value) for reply in replies.values())
    holders = {store for store, reply in replies.items() if reply.held == top}
    if kind_of(top) == STRONG:
        if holders:
            return ReadVerdict.FOUND, top, NO_BALLOT  # it was learned
        for ballot in {reply.accepted for reply in replies.values() if reply.value == top}:
            same = {
                store
                for store, reply in replies.items()
                if reply.accepted == ballot and (trusting or reply.promised == ballot)
            }
            if write_done(placement, slot, same):
                return ReadVerdict.FOUND, top, ballot
        return ReadVerdict.IDENTITY, ABSENT, NO_BALLOT
    if top == ABSENT:
        return ReadVerdict.FOUND, ABSENT, NO_BALLOT
    if not trusting and any(replies[store].promised != NO_BALLOT for store in holders):
        return ReadVerdict.IDENTITY, ABSENT, NO_BALLOT
    if write_done(placement, slot, holders):
        return ReadVerdict.FOUND, top, NO_BALLOT
    return ReadVerdict.WRITE_BACK, top, NO_BALLOT
