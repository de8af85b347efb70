"""Covering the key space: enough answers of every slot, never two of one store, by few stores."""

from hypothesis import given
from hypothesis import strategies as st

from spine_core.scalars import Slot, StoreNumber
from spine_node.engine.query.coverage import Coverage, slots_read_from
from unit.search.cluster import placed
from unit.search.harness import ALL_SLOTS, SLOTS


def test_one_store_is_asked_when_it_holds_everything() -> None:
    coverage = Coverage(
        {StoreNumber(1): 0b1100, StoreNumber(2): 0b1111, StoreNumber(3): 0b0011}, 0b1111, 1
    )
    assert coverage.next_calls([StoreNumber(1), StoreNumber(2), StoreNumber(3)]) == {2: 0b1111}


def test_among_equals_the_first_in_order_is_asked() -> None:
    coverage = Coverage({StoreNumber(1): 0b11, StoreNumber(2): 0b11, StoreNumber(3): 0b11}, 0b11, 2)
    assert coverage.next_calls([StoreNumber(3), StoreNumber(1), StoreNumber(2)]) == {
        3: 0b11,
        1: 0b11,
    }


def test_a_slot_goes_to_one_store_however_many_hold_it() -> None:
    calls = Coverage({StoreNumber(1): 0b0111, StoreNumber(2): 0b1110}, 0b1111, 1).next_calls(
        [StoreNumber(1), StoreNumber(2)]
    )
    assert sorted(calls.values()) == [0b0111, 0b1000]


def test_who_failed_is_not_asked_again() -> None:
    coverage = Coverage({StoreNumber(1): 0b11, StoreNumber(2): 0b01}, 0b11, 1)
    assert coverage.next_calls([StoreNumber(1), StoreNumber(2)]) == {1: 0b11}
    assert coverage.next_calls([StoreNumber(1), StoreNumber(2)]) == {2: 0b01}
    coverage.answered(0b01)
    assert coverage.next_calls([StoreNumber(1), StoreNumber(2)]) == {}
    assert coverage.missing == 0b10


@given(
    st.sampled_from([3, 4, 7]),
    st.integers(1, 3),
    st.frozensets(st.integers(1, 7), max_size=4),
)
def test_every_slot_gets_its_answers_from_different_stores_or_is_missing(
    nodes: int, copies: int, failing: frozenset[int]
) -> None:
    placement = placed(range(1, nodes + 1))
    coverage = Coverage(slots_read_from(placement), ALL_SLOTS, copies)
    answers: list[set[int]] = [set() for _ in range(SLOTS)]
    while calls := coverage.next_calls([StoreNumber(n) for n in range(1, nodes + 1)]):
        for store, slots in calls.items():
            assert slots
            if store in failing:
                continue
            coverage.answered(slots)
            for slot in range(SLOTS):
                if slots >> slot & 1:
                    assert store not in answers[slot]
                    answers[slot].add(store)
    for slot in range(SLOTS):
        assert answers[slot] <= set(placement.read_set(Slot(slot)))
        possible = len(set(placement.read_set(Slot(slot))) - failing)
        assert len(answers[slot]) == min(possible, copies)
        assert bool(coverage.missing >> slot & 1) == (possible < copies)
