"""From whom a store pulls: the displaced one, else enough others to meet every write."""

from itertools import combinations

from models.clusters import document, joining, store, stores
from spine_core.replication.pull_sources import displaced_by, sources_of
from spine_core.replication.quorums import write_done
from spine_core.scalars import StoreNumber
from spine_core.topology.placement import Placement

THREE = document("a0 b0 c0")
JOIN = Placement(joining(THREE, "a1"))
SLOT = min(JOIN.gained()[StoreNumber(4)])


def test_the_displaced_store_is_the_source() -> None:
    assert displaced_by(JOIN, SLOT, StoreNumber(4)) == 1
    assert sources_of(JOIN, SLOT, StoreNumber(4), stores(1, 2, 3)) == (1,)
    assert sources_of(JOIN, SLOT, StoreNumber(4), stores(1)) == (1,)


def test_without_the_displaced_store_two_others_are_the_sources() -> None:
    sources = sources_of(JOIN, SLOT, StoreNumber(4), stores(2, 3))
    assert sources is not None
    assert set(sources) == {2, 3}


def test_one_other_store_is_not_enough() -> None:
    assert sources_of(JOIN, SLOT, StoreNumber(4), stores(2)) is None
    assert sources_of(JOIN, SLOT, StoreNumber(4), stores(2, 4)) is None
    assert sources_of(JOIN, SLOT, StoreNumber(4), frozenset()) is None


def test_sources_hold_every_write_that_the_old_epoch_acknowledged() -> None:
    before = Placement(THREE)
    everyone = frozenset(before.current(SLOT))
    writes = [
        frozenset(acks)
        for n in range(4)
        for acks in combinations(sorted(everyone), n)
        if write_done(before, SLOT, frozenset(acks))
    ]
    others = sources_of(JOIN, SLOT, StoreNumber(4), everyone - {1})
    assert others is not None
    assert all(acks & frozenset(others) for acks in writes)


def test_each_gained_store_displaces_another_one() -> None:
    doc = document("a0 b0 c0", zone_policy="none")
    placed = Placement(joining(doc, "a1 b1 c1"))
    for slot in placed.slots:
        gained = set(placed.target(slot)) - set(placed.current(slot))
        displaced = {displaced_by(placed, slot, one) for one in gained}
        assert displaced == set(placed.current(slot)) - set(placed.target(slot))


def test_a_replaced_disk_is_filled_by_both_survivors() -> None:
    change = Placement(THREE.with_change("replace", joining=(store("b0", 9),), now_ms=0))
    (slot, *_) = change.slots
    survivors = tuple(one for one in change.current(slot) if one != 2)
    assert sources_of(change, slot, StoreNumber(4), stores(1, 3, 4)) == survivors
