"""Trying until the deadline, and asking many until a tally decides: on a clock that obeys."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from spine_core.errors import ProblemError
from spine_node.engine.coordinator.attempts import (
    AttemptFailedError,
    Backoff,
    attempts,
    collect,
)
from unit.engine.harness import ManualClock

BACKOFF = Backoff(first_s=1.0, max_s=4.0)


class Trials:
    """Attempts of which the first ones fail."""

    def __init__(self, failures: int, *, final: bool = False) -> None:
        self.left, self.final, self.made = failures, final, 0

    async def once(self) -> str:
        self.made += 1
        if self.made <= self.left:
            problem = ProblemError("quorum-unavailable", f"attempt {self.made}")
            raise AttemptFailedError(problem, final=self.final)
        return "done"


async def test_the_pauses_between_attempts_double_up_to_a_limit(clock: ManualClock) -> None:
    assert await attempts(Trials(5).once, clock, 100.0, BACKOFF) == "done"
    assert clock.slept == [1.0, 2.0, 4.0, 4.0, 4.0]


async def test_no_attempt_begins_behind_the_deadline(clock: ManualClock) -> None:
    with pytest.raises(AttemptFailedError) as failed:
        await attempts(Trials(9).once, clock, 7.0, BACKOFF)
    assert failed.value.problem.detail == "attempt 3"  # of the last one
    assert clock.slept == [1.0, 2.0]


async def test_a_pause_drawn_longer_does_not_end_behind_the_deadline(clock: ManualClock) -> None:
    for _ in range(50):
        clock.seconds = 0.0
        with pytest.raises(AttemptFailedError):
            await attempts(Trials(9).once, clock, 1.01, Backoff(1.0, 1.0, jitter=True))
        assert clock.seconds < 1.01


async def test_after_a_final_failure_nothing_is_tried_again(clock: ManualClock) -> None:
    trials = Trials(9, final=True)
    with pytest.raises(AttemptFailedError):
        await attempts(trials.once, clock, 100.0, BACKOFF)
    assert trials.made == 1


class Sum:
    """A tally that decides at three."""

    def __init__(self) -> None:
        self.total = 0

    def answer(self, number: int) -> None:
        self.total += number

    def verdict(self) -> str | None:
        return f"decided at {self.total}" if self.total >= 3 else None

    def expire(self) -> str:
        return f"ended at {self.total}"


def send(numbers: list[int], answered: Callable[[int], None]) -> None:
    """Answer each number in a turn of the loop of its own."""
    for number in numbers:
        asyncio.get_running_loop().call_soon(answered, number)


async def test_the_first_verdict_is_returned_and_later_answers_still_count() -> None:
    tally = Sum()
    assert await collect(tally, partial(send, [1, 2, 5]), 10.0) == "decided at 3"
    assert tally.total == 8


async def test_an_answer_in_the_call_itself_may_decide() -> None:
    def tell(answered: Callable[[int], None]) -> None:
        answered(3)
        answered(5)  # our own store is asked behind others that cannot be reached

    assert await collect(Sum(), tell, 10.0) == "decided at 3"


async def test_without_a_verdict_in_time_the_tally_says_what_that_means() -> None:
    assert await collect(Sum(), partial(send, [1]), 0.01) == "ended at 1"
