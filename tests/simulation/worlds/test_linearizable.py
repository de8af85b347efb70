"""The search for an order of operations finds one where there is one, and nothing elsewhere."""

import math

from simulation.worlds.linearizable import Operation, is_linearizable

A, B, NOTHING = b"a", b"b", b"-"
DEAD = frozenset([NOTHING])


def write(began_s: float, ended_s: float, value: bytes) -> Operation:
    return Operation(began_s, ended_s, None, value)


def read(began_s: float, ended_s: float, value: bytes) -> Operation:
    return Operation(began_s, ended_s, frozenset([value]), None)


def test_reads_behind_a_write_find_it() -> None:
    assert is_linearizable([write(0, 1, A), read(2, 3, A)], DEAD)
    assert is_linearizable([write(0, 1, A), write(2, 3, B), read(4, 5, A)], DEAD) is False


def test_reads_beside_a_write_find_it_or_not_and_never_go_back() -> None:
    first = [write(0, 1, A), write(2, 9, B)]
    assert is_linearizable([*first, read(3, 4, A), read(5, 6, B)], DEAD)
    assert is_linearizable([*first, read(3, 4, B), read(5, 6, A)], DEAD) is False


def test_what_nobody_knows_the_outcome_of_may_take_effect_late_or_never() -> None:
    first = [write(0, 1, A), write(2, math.inf, B)]
    assert is_linearizable([*first, read(8, 9, A)], DEAD)
    assert is_linearizable([*first, read(8, 9, B)], DEAD)


def test_a_condition_needs_its_state() -> None:
    swap = Operation(2, 3, frozenset([A]), B)
    assert is_linearizable([write(0, 1, A), swap], DEAD)
    assert is_linearizable([write(0, 1, A), swap, swap._replace(after=b"c")], DEAD) is False


def test_a_create_needs_nothing_to_be_there() -> None:
    create = Operation(4, 5, None, B, live=False)
    assert is_linearizable([write(0, 1, A), create], DEAD) is False
    assert is_linearizable([write(0, 1, A), write(2, 3, NOTHING), create], DEAD)
