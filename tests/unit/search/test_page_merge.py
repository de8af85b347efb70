"""What the answer of one store is worth: nothing about a slot with a record that it cannot read."""

from spine_core.scalars import StoreNumber
from spine_node.engine.query.page_merge import StoreAnswer, merged, unknown_needs
from spine_node.search.messages import DAMAGED, Candidate, QueryPage, slots_to_bytes

STORE = StoreNumber(1)
ASKED = 0b1110


def page(*candidates: Candidate, damaged: int = 0, unknown: tuple[int, ...] = ()) -> QueryPage:
    return QueryPage(
        candidates=list(candidates),
        end=None,
        unknown=unknown,
        lag_ms=0,
        damaged=slots_to_bytes(damaged),
    )


def test_a_store_does_not_answer_for_a_slot_with_a_record_it_cannot_read() -> None:
    answer = StoreAnswer.of(STORE, ASKED, page(damaged=0b0101))
    assert (answer.slots, answer.damaged) == (0b1010, 0b0100)


def test_a_damaged_record_on_the_page_is_no_candidate_and_its_slot_no_answer() -> None:
    answer = StoreAnswer.of(STORE, ASKED, page(Candidate((1, "ns", "a"), 3, DAMAGED)))
    assert (answer.slots, answer.damaged) == (0b0110, 0b1000)
    assert merged([answer], "created_at") == []


def test_an_answer_without_damage_is_one_for_all_slots_asked() -> None:
    answer = StoreAnswer.of(STORE, ASKED, page())
    assert (answer.slots, answer.damaged) == (ASKED, 0)


def test_an_own_write_is_shown_only_by_a_store_that_reads_all_of_its_slots() -> None:
    whole = StoreAnswer.of(STORE, ASKED, page(unknown=(7,)))
    hurt = StoreAnswer.of(StoreNumber(2), ASKED, page(damaged=0b0100))
    assert unknown_needs([whole, hurt], (7, 8)) == {7}
    assert unknown_needs([hurt], (7, 8)) == {7, 8}
