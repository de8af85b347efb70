"""Covering the key space: enough answers of every slot, never two of one store, by few stores."""

from hypothesis import given
from hypothesis import strategies as st

from spine_core.scalars import StoreNumber
from spine_node.engine.query.coverage import Coverage, slots_read_from
from unit.search.cluster import placed
from unit.search.harness import ALL_SLOTS, SLOTS

ONE, TWO, THREE = StoreNumber(1), StoreNumber(2), StoreNumber(3)


def test_one_store_is_asked_when_it_holds_everything() -> None:
    coverage = Coverage({ONE: 0b1100, TWO: 0b1111, THREE: 0b0011}, 0b1111, 1)
    assert coverage.next_calls([ONE, TWO, THREE]) == {2: 0b1111}


def test_among_equals_the_first_in_order_is_asked() -> None:
    coverage = Coverage({ONE: 0b11, TWO: 0b11, THREE: 0b11}, 0b11, 2)
    assert coverage.next_calls([THREE, ONE, TWO]) == {
        3: 0b11,
        1: 0b11,
    }


def test_a_slot_goes_to_one_store_however_many_hold_it() -> None:
    calls = Coverage({ONE: 0b0111, TWO: 0b1110}, 0b1111, 1).next_calls([ONE, TWO])
    assert sorted(calls.values()) == [0b0111, 0b1000]


def test_who_failed_is_not_asked_again() -> None:
    coverage = Coverage({ONE: 0b11, TWO: 0b01}, 0b11, 1)
    assert coverage.next_calls([ONE, TWO]) == {1: 0b11}
    assert coverage.next_calls([ONE, TWO]) == {2: 0b01}
    coverage.answered(0b01)
    assert coverage.next_calls([ONE, TWO]) == {}
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
    for slot in placement.slots:
        assert answers[slot] <= set(placement.read_set(slot))
        possible = len(set(placement.read_set(slot)) - failing)
        assert len(answers[slot]) == min(possible, copies)
        assert bool(coverage.missing >> slot & 1) == (possible < copies)
