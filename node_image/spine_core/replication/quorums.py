"""Quorums of one epoch: when reads and writes are done, when an epoch may follow. Pure.

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
    """Whether a weak write is acknowledged: by W of the old replicas and W of the new."""
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


def read_possible(placement: Placement, slot: Slot, failed: AbstractSet[StoreNumber]) -> bool:
    """Whether a quorum read can still succeed when the failed stores never answer."""
    return read_done(placement, slot, frozenset(placement.read_set(slot)) - failed)


def barrier_size(placement: Placement) -> int:
    """Return how many replicas of a slot must know an epoch before the next one may come.

    RF - W + 1 stores meet every write quorum of an older epoch, W stores every older majority:
    none of those can be completed any more.
    """
    return max(placement.write_quorum, placement.factor - placement.write_quorum + 1)


def slots_without_barrier(placement: Placement, acked: AbstractSet[StoreNumber]) -> int:
    """Return how many slots still lack the barrier, among their old or their new replicas.

    `acked` are the stores that have durably adopted the epoch. It never relaxes with time.
    """
    needed = barrier_size(placement)
    return sum(
        len(slots)
        for (old, new), slots in placement.groups.items()
        if _count(old, acked) < needed or _count(new, acked) < needed
    )


def _count(replicas: Iterable[StoreNumber], among: AbstractSet[StoreNumber]) -> int:
    count = 0  # a loop: a generator takes twice as long, and a write counts three times
    for store in replicas:
        if store in among:
            count += 1
    return count
