"""Which stores hold a slot, before, during and after a change."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.clusters import document, draining, joining, store
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Document
from spine_core.topology.placement import Placement
from spine_core.topology.ring import Ring

THREE = document("a0 b0 c0")
JOIN = joining(THREE, "a1")


def placement(doc: Document) -> Placement:
    return Placement(doc)


def test_replicas_are_those_of_the_ring_by_store_number() -> None:
    doc = document("a0 b0 c0 a1 b1")
    seats = {seat: doc.stores[n].zone for seat, n in doc.current.items()}
    ring = Ring(seats, virtual_nodes=doc.virtual_nodes, slots=doc.slots)
    placed = Placement(doc)
    for slot in placed.slots:
        row = ring.get_replica_nodes(slot, factor=3, zone_policy="strict")
        assert placed.current(slot) == tuple(doc.current[seat] for seat in row)


def test_without_a_change_all_sets_are_one() -> None:
    placed = placement(THREE)
    for slot in placed.slots:
        sets = {placed.current(slot), placed.target(slot), placed.write_set(slot)}
        assert sets == {placed.read_set(slot)}
    assert placed.gained() == placed.lost() == {}


def test_writes_go_to_old_and_new_and_reads_move_with_the_switch() -> None:
    prepare, switch = placement(JOIN), placement(JOIN.switched())
    for slot in prepare.slots:
        a, b = prepare.current(slot), prepare.target(slot)
        for placed in (prepare, switch):
            assert set(placed.write_set(slot)) == set(a) | set(b)
            assert placed.write_set(slot)[:3] == a
        assert prepare.read_set(slot) == a
        assert switch.read_set(slot) == b


def test_the_end_of_a_change_is_its_target() -> None:
    before = placement(JOIN)
    after = placement(JOIN.switched().committed(now_ms=1))
    assert all(after.current(slot) == before.target(slot) for slot in before.slots)


def test_gained_and_lost_slots_pair_up() -> None:
    placed = placement(JOIN)
    assert list(placed.gained()) == [4]
    assert list(placed.lost()) == [1]
    assert placed.gained()[StoreNumber(4)] == placed.lost()[StoreNumber(1)]


def test_a_replaced_seat_moves_no_other_slot() -> None:
    change = THREE.with_change("replace", joining=(store("b0", 9),), now_ms=0)
    placed = placement(change)
    assert placed.gained() == {4: frozenset(placed.slots)}
    assert placed.lost() == {2: frozenset(placed.slots)}


def test_a_store_owns_the_slots_that_it_is_written_for() -> None:
    placed = placement(joining(document("a0 b0 c0 a1"), "b1"))
    for number in (1, 2, 3, 4, 5):
        owned = {slot for slot in placed.slots if number in placed.write_set(slot)}
        assert placed.slots_of(StoreNumber(number)) == owned
    assert placed.slots_of(StoreNumber(99)) == frozenset()


@given(st.lists(st.sampled_from("abcd"), min_size=3, max_size=9), st.sampled_from("abcd"))
def test_one_more_node_gives_a_slot_at_most_one_new_replica(zones: list[str], zone: str) -> None:
    seats = [f"{z}{n}" for n, z in enumerate(zones)]
    doc = document(" ".join(seats), zone_policy="none")
    placed = Placement(joining(doc, f"{zone}99"))
    for a, b in placed.groups:
        assert len(set(b) - set(a)) <= 1
    back = draining(replace(doc), seats[0]) if len(seats) > 3 else None
    if back is not None:
        assert all(len(set(b) - set(a)) <= 1 for a, b in Placement(back).groups)


@pytest.mark.parametrize("seats", ["a0 a1", "a0 b0"])
def test_a_document_without_room_has_no_placement(seats: str) -> None:
    with pytest.raises(AssertionError):
        Placement(document(seats))
