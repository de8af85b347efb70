"""Quorums that meet: of one epoch, of the phases of a change, and of epochs side by side."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.clusters import document, joining, stores
from spine_core.replication.quorums import (
    barrier_size,
    majority,
    read_done,
    slots_without_barrier,
    write_done,
    write_possible,
)
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Document
from spine_core.topology.placement import Placement

THREE = document("a0 b0 c0")
JOIN = joining(THREE, "a1")
PREPARE = Placement(JOIN)
SLOT = min(PREPARE.gained()[StoreNumber(4)])  # old replicas 1 2 3, new ones 2 3 4
ALL = stores(1, 2, 3, 4)

Stores = frozenset[StoreNumber]


def subsets(among: Stores) -> list[Stores]:
    return [frozenset(some) for n in range(len(among) + 1) for some in combinations(among, n)]


def minimal(accepting: list[Stores]) -> set[Stores]:
    return {one for one in accepting if not any(other < one for other in accepting)}


@pytest.mark.parametrize("doc", [JOIN, JOIN.switched()], ids=["prepare", "switch"])
def test_a_write_in_a_change_needs_a_quorum_of_old_and_new(doc: Document) -> None:
    placed = Placement(doc)
    done = [acks for acks in subsets(ALL) if write_done(placed, SLOT, acks)]
    assert minimal(done) == {frozenset({2, 3}), frozenset({1, 2, 4}), frozenset({1, 3, 4})}


def test_a_write_in_a_stable_epoch_needs_two_of_three() -> None:
    placed = Placement(THREE)
    for acks in subsets(stores(1, 2, 3, 9)):
        assert write_done(placed, SLOT, acks) == (len(acks - {9}) >= 2)


def test_one_node_down_stops_no_write_and_two_old_ones_do() -> None:
    for failed in subsets(ALL):
        if len(failed) <= 1:
            assert write_possible(PREPARE, SLOT, failed)
    assert not write_possible(PREPARE, SLOT, stores(1, 2))
    assert not write_possible(PREPARE, SLOT, stores(3, 4))


def test_reads_ask_the_old_until_the_switch() -> None:
    assert read_done(PREPARE, SLOT, stores(1, 2))
    assert not read_done(PREPARE, SLOT, stores(2, 4))
    switch = Placement(JOIN.switched())
    assert read_done(switch, SLOT, stores(2, 4))
    assert not read_done(switch, SLOT, stores(1, 2))


@pytest.mark.parametrize("before", range(4))
def test_write_quorums_meet_read_quorums_of_the_next_phase(before: int) -> None:
    switch = JOIN.switched()
    chain = [THREE, JOIN, switch, switch.committed(now_ms=0)]
    writer = Placement(chain[before])
    for reader in (Placement(doc) for doc in chain[before : before + 2]):
        writes = [one for one in subsets(ALL) if write_done(writer, SLOT, one)]
        reads = [one for one in subsets(ALL) if read_done(reader, SLOT, one)]
        if chain[before].epoch == 1:
            # Prepare reads what stable reads; the joiner learns of stable's writes by its pull.
            assert reader.read_set(SLOT) == writer.read_set(SLOT)
        assert all(write & read for write in writes for read in reads)


def test_the_barrier_wants_two_of_old_and_of_new_in_every_slot() -> None:
    assert not slots_without_barrier(PREPARE, stores(2, 3))
    assert not slots_without_barrier(PREPARE, stores(1, 2, 3))
    assert slots_without_barrier(PREPARE, stores(1, 4))
    assert slots_without_barrier(PREPARE, frozenset()) == 64
    assert slots_without_barrier(PREPARE, stores(1, 2))
    only_gained = slots_without_barrier(PREPARE, stores(1, 2))
    assert only_gained == len(PREPARE.gained()[StoreNumber(4)])


CASES = [(1, 1), (2, 2), (3, 2), (3, 3), (4, 3), (5, 3), (5, 4), (5, 5)]


@pytest.mark.parametrize(("factor", "write_quorum"), CASES)
def test_a_barrier_meets_every_write_quorum_and_every_majority(
    factor: int, write_quorum: int
) -> None:
    seats = " ".join(f"a{n}" for n in range(factor))
    doc = document(seats, factor=factor, write_quorum=write_quorum)
    placed = Placement(doc)
    size = barrier_size(placed)
    assert size + write_quorum > factor
    assert size + majority(factor) > factor
    barriers = [one for one in subsets(doc.members()) if not slots_without_barrier(placed, one)]
    assert min(len(one) for one in barriers) == size


@given(st.integers(1, 9))
def test_two_majorities_share_a_replica(replicas: int) -> None:
    assert 2 * majority(replicas) > replicas
    assert 2 * (majority(replicas) - 1) <= replicas
