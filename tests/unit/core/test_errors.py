import pytest

from spine_core.errors import ClockSkewError, InvalidInputError, ProblemError, SpineError
from spine_core.problems import PROBLEMS


def test_every_problem_code_is_kebab_case_and_an_error_status() -> None:
    for code, kind in PROBLEMS.items():
        assert code.replace("-", "").isalpha()
        assert code == code.lower()
        assert 400 <= kind.status <= 599
        assert kind.title


def test_only_server_side_and_waiting_problems_ask_for_a_retry() -> None:
    retryable = {code for code, kind in PROBLEMS.items() if kind.retryable}
    assert retryable == {
        *("busy", "clock-skew", "coverage-incomplete", "deadline-exceeded", "internal"),
        *("lease-held", "not-ready", "overloaded", "quorum-unavailable", "rate-limited"),
        "session-unsatisfied",
    }


def test_a_problem_takes_status_title_and_retry_from_the_table() -> None:
    problem = ProblemError("overloaded", "too many requests in flight", retry_after_ms=250)
    assert (problem.status, problem.retryable, problem.outcome) == (503, True, "not-applied")
    assert problem.title == PROBLEMS["overloaded"].title
    assert problem.retry_after_ms == 250
    assert not problem.extra
    assert str(problem) == "overloaded: too many requests in flight"


@pytest.mark.parametrize(
    "code", ["quorum-unavailable", "deadline-exceeded", "storage-full", "precondition-failed"]
)
def test_a_failed_write_counts_as_indeterminate_unless_someone_knows_better(code: str) -> None:
    assert ProblemError(code, "").outcome == "indeterminate"
    assert ProblemError(code, "", outcome="not-applied").outcome == "not-applied"


def test_a_problem_of_reads_says_nothing_about_writes() -> None:
    assert ProblemError("session-unsatisfied", "").outcome is None


def test_a_code_outside_the_table_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="no-such-code"):
        ProblemError("no-such-code", "")


def test_an_outcome_that_the_table_excludes_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        ProblemError("internal", "", outcome="not-applied")


def test_to_be_in_doubt_is_never_wrong() -> None:
    assert ProblemError("not-found", "").outcome == "not-applied"
    assert ProblemError("not-found", "", outcome="indeterminate").outcome == "indeterminate"


def test_invalid_input_names_the_field() -> None:
    error = InvalidInputError("must be a number", path="metadata.a")
    assert (error.path, error.message) == ("metadata.a", "must be a number")
    assert str(error) == "metadata.a: must be a number"
    assert str(InvalidInputError("empty")) == "empty"


def test_clock_skew_says_how_far_ahead() -> None:
    error = ClockSkewError(1500)
    assert isinstance(error, SpineError)
    assert error.ahead_ms == 1500
