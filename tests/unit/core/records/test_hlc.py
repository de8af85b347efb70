from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.errors import ClockSkewError
from spine_core.records.hlc import MAX_DRIFT_MS, HybridClock
from spine_core.records.versions import hlc_from_ms, ms_of
from spine_core.scalars import Hlc

times = st.integers(0, 2**40)


@given(st.lists(times, min_size=1))
def test_the_clock_never_issues_a_value_twice_whatever_the_wall_clock_does(
    physical: list[int],
) -> None:
    clock = HybridClock()
    issued = [clock.tick(ms) for ms in physical]
    assert all(earlier < later for earlier, later in pairwise(issued))


@given(times, st.integers(0, MAX_DRIFT_MS))
def test_a_stamp_is_above_everything_seen_before(physical: int, ahead: int) -> None:
    clock = HybridClock()
    seen = hlc_from_ms(physical + ahead) + 5
    clock.observe(Hlc(seen), physical)
    assert clock.tick(physical) > seen


def test_a_stamp_too_far_ahead_is_refused_and_does_not_move_the_clock() -> None:
    clock = HybridClock(last=hlc_from_ms(100))
    with pytest.raises(ClockSkewError) as refusal:
        clock.observe(hlc_from_ms(10_000 + MAX_DRIFT_MS + 1), 10_000)
    assert refusal.value.ahead_ms == MAX_DRIFT_MS + 1
    assert clock.last == hlc_from_ms(100)


def test_a_stamp_just_within_the_drift_is_taken() -> None:
    clock = HybridClock()
    clock.observe(hlc_from_ms(10_000 + MAX_DRIFT_MS), 10_000)
    assert ms_of(clock.last) == 10_000 + MAX_DRIFT_MS


def test_an_old_stamp_does_not_turn_the_clock_back() -> None:
    clock = HybridClock(last=hlc_from_ms(500))
    clock.observe(hlc_from_ms(3), 500)
    assert clock.last == hlc_from_ms(500)


def test_the_clock_goes_on_above_the_high_water_mark_it_is_started_with() -> None:
    mark = hlc_from_ms(9_000) + 3
    assert HybridClock(last=Hlc(mark)).tick(physical_ms=10) == mark + 1


@given(times, times)
def test_a_look_at_the_clock_changes_nothing(last_ms: int, physical: int) -> None:
    clock = HybridClock(last=hlc_from_ms(last_ms))
    assert clock.peek(physical) == max(hlc_from_ms(last_ms), hlc_from_ms(physical))
    assert clock.last == hlc_from_ms(last_ms)
