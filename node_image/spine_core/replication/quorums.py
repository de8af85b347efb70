"""Quorum arithmetic of one epoch. Pure.

During a change a write needs W of the old replicas and W of the new ones, so that whichever set the
next reader asks, a majority of it meets the write.
Source: Gifford, "Weighted Voting for Replicated Data", SOSP 1979; joint quorums as in Raft.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.placement import Placement


def majority(replicas: int) -> int:
    """Return the smallest number of which any two sets share a replica."""
    return replicas // 2 + 1


def write_done(placement: Placement, slot: Slot, acks: AbstractSet[StoreNumber]) -> bool:
    """Whether a weak write is acknowledged: W of A and W of B."""
    needed = placement.write_quorum
    current, target = placement.current(slot), placement.target(slot)
    return _count(current, acks) >= needed and (current is target or _count(target, acks) >= needed)


def write_possible(placement: Placement, slot: Slot, failed: AbstractSet[StoreNumber]) -> bool:
    """Whether a write can still be acknowledged when the failed stores never answer."""
    return write_done(placement, slot, frozenset(placement.write_set(slot)) - failed)


def read_done(placement: Placement, slot: Slot, answers: AbstractSet[StoreNumber]) -> bool:
    """Whether a quorum read has a majority of the replicas that reads ask."""
    asked = placement.read_set(slot)
    return _count(asked, answers) >= majority(len(asked))


def barrier_size(placement: Placement) -> int:
    """Return how many replicas of a slot must know an epoch before the next one may come.

    RF - W + 1 stores meet every write quorum of an older epoch, W stores every older majority:
    none of those can be completed any more.
    """
    return max(placement.write_quorum, placement.factor - placement.write_quorum + 1)


def barrier_met(placement: Placement, acked: AbstractSet[StoreNumber]) -> bool:
    """Whether enough stores of every slot, of A and of B, have durably adopted this epoch."""
    return not barrier_missing(placement, acked)


def barrier_missing(placement: Placement, acked: AbstractSet[StoreNumber]) -> int:
    """Return how many slots still lack the barrier; it never relaxes."""
    needed = barrier_size(placement)
    return sum(
        len(slots)
        for (a, b), slots in placement.groups.items()
        if _count(a, acked) < needed or _count(b, acked) < needed
    )


def _count(replicas: Iterable[StoreNumber], among: AbstractSet[StoreNumber]) -> int:
    return sum(store in among for store in replicas)
