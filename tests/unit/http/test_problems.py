"""Problems: one form for every code, and an outcome wherever something was to be written."""

import json

import pytest

from spine_core.errors import InvalidInputError, ProblemError
from spine_core.problems import PROBLEMS
from spine_node.http.problems import MethodNotAllowedError, as_problem, problem_response


def body_of(problem: ProblemError, *, writes: bool) -> dict[str, object]:
    body: dict[str, object] = json.loads(problem_response(problem, "r-1", writes=writes).content)
    return body


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_code_has_all_members(code: str) -> None:
    kind = PROBLEMS[code]
    response = problem_response(ProblemError(code, "why"), "r-1", writes=False)
    assert response.status == kind.status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert json.loads(response.content) == {
        "type": f"https://memoryspine.io/problems/{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": "why",
        "code": code,
        "retryable": kind.retryable,
        "request_id": "r-1",
    }


@pytest.mark.parametrize("code", PROBLEMS)
def test_a_failed_write_always_says_what_became_of_it(code: str) -> None:
    certain = PROBLEMS[code].outcome == "not-applied"
    outcome = body_of(ProblemError(code, "why"), writes=True)["outcome"]
    assert outcome == ("not-applied" if certain else "indeterminate")


def test_whoever_knows_that_nothing_was_applied_can_say_so() -> None:
    problem = ProblemError("deadline-exceeded", "why", outcome="not-applied")
    assert body_of(problem, writes=True)["outcome"] == "not-applied"


@pytest.mark.parametrize(
    ("code", "wait_ms", "header"),
    [
        ("overloaded", None, "1"),
        ("overloaded", 1, "1"),
        ("rate-limited", 1001, "2"),
        ("not-ready", 0, "0"),
        ("lease-held", 8120, None),
        ("internal", None, None),
    ],
)
def test_retry_after_is_in_whole_seconds_on_429_and_503(
    code: str, wait_ms: int | None, header: str | None
) -> None:
    problem = ProblemError(code, "why", retry_after_ms=wait_ms)
    response = problem_response(problem, "r", writes=False)
    assert response.headers.get("Retry-After") == header
    assert json.loads(response.content).get("retry_after_ms") == wait_ms


def test_wrong_fields_and_further_members_are_shown() -> None:
    problem = ProblemError("stale-epoch", "old", errors=(("a.b", "bad"),), extra={"epoch": 7})
    body = body_of(problem, writes=False)
    assert body["errors"] == [{"path": "a.b", "message": "bad"}]
    assert body["epoch"] == 7


def test_bad_input_becomes_the_problem_of_its_field() -> None:
    problem = as_problem(InvalidInputError("too long", path="id"))
    assert (problem.code, problem.errors) == ("validation-failed", (("id", "too long"),))


def test_text_that_no_json_can_carry_is_replaced() -> None:
    problem = ProblemError("not-found", "a\udcff", errors=(("\ud800", "\udfff"),))
    assert body_of(problem, writes=False)["detail"] == "a?"


def test_a_wrong_method_is_told_the_right_ones() -> None:
    response = problem_response(MethodNotAllowedError(["PUT", "GET"]), "r", writes=False)
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD, PUT")
