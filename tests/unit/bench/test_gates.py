"""Ratios, their verdicts, and the page that is made from them."""

import msgspec
import pytest

from bench.closed.gates import GATES, Gate, judge
from bench.closed.samples import Sample, median_of
from bench.load.result import LoadResult
from bench.report.page import PAGE, figures, with_figures
from bench.report.report import BASELINE, load
from bench.report.verdict import Verdict
from bench.systems.system import Tally

RATE = Gate(number="1", what="a ÷ b", ours="a", theirs="b", quantity="rate", bound=1, goal=2)


def sample(rate: float) -> Sample:
    return Sample(
        rate=rate,
        cpu_us=1e6 / rate,
        system_us=0,
        threads_us={"loop": (1e6 / rate, 0)},
        p50_ms=1,
        p99_ms=2,
        errors=0,
        load_average=1,
        steal=0,
    )


def test_a_gate_is_the_median_of_the_ratios_within_rounds() -> None:
    rounds = [
        {"a": sample(100), "b": sample(100)},  # a slow minute for both
        {"a": sample(900), "b": sample(300)},
        {"a": sample(800), "b": sample(400)},
        {"a": sample(5000)},  # without the other row there is no ratio
    ]
    [verdict] = judge([RATE], rounds, {})
    assert (verdict.value, verdict.rounds) == (2, [1, 3, 2])


def test_a_row_that_is_missing_makes_its_gate_not_measured_and_says_why() -> None:
    [verdict] = judge([RATE], [{"a": sample(1)}], {"b": "b is not installed"})
    assert (verdict.word, verdict.why) == ("not measured", "b is not installed")


@pytest.mark.parametrize(
    ("value", "at_most", "word"),
    [
        (0.9, False, "MISSED"),
        (1.0, False, "met"),
        (2.0, False, "goal"),
        (2.1, True, "MISSED"),
        (2.0, True, "met"),
        (1.0, True, "goal"),
    ],
)
def test_a_verdict_looks_from_the_right_side(value: float, at_most: bool, word: str) -> None:
    bound, goal = (2.0, 1.0) if at_most else (1.0, 2.0)
    one = Verdict(number="1", what="x", value=value, bound=bound, goal=goal, at_most=at_most)
    assert one.word == word


def test_every_goal_is_harder_than_its_bound() -> None:
    for gate in GATES:
        if gate.bound is not None and gate.goal is not None:
            assert (gate.goal < gate.bound) == gate.at_most, gate.what


def test_errors_add_up_where_all_else_is_a_median() -> None:
    bad = msgspec.structs.replace(sample(20), errors=3)
    assert median_of([sample(10), bad, bad]).errors == 6


def test_each_thread_has_a_median_of_its_own() -> None:
    found = [
        msgspec.structs.replace(sample(10), threads_us=threads)
        for threads in ({"loop": (1.0, 2.0)}, {"loop": (3.0, 4.0), "writer": (9.0, 9.0)}, {})
    ]
    assert median_of(found).threads_us == {"loop": (1.0, 2.0), "writer": (0.0, 0.0)}


@pytest.mark.parametrize(("held", "wrong"), [(9, 1), (10, 0), (12, 0), (13, 1)])
def test_a_replica_holds_what_was_acknowledged_and_no_more_than_was_sent(
    held: int, wrong: int
) -> None:
    tally = Tally()
    result = LoadResult(acknowledged=10, sent=12, errors=0, seconds=1, p50_ms=0, p99_ms=0)
    tally.note(["x"], result)
    assert len(tally.check_counts("store", [held])) == wrong


def test_the_page_says_what_the_baseline_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_figures(page, load(BASELINE))
    assert figures(load(BASELINE)) in page
