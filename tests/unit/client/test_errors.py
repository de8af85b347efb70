"""One class per problem code, below what a caller can do about it."""

import pytest

from memory_spine.errors import (
    AccessError,
    BadRequest,
    ConditionError,
    Conflict,
    NotFound,
    ProblemError,
    Unavailable,
    error_of,
)
from spine_core.problems import PROBLEMS

NAMED_OTHERWISE = {"internal": "InternalError", "not-implemented": "NotSupported"}


def test_the_classes_are_exactly_the_servers_codes_and_statuses() -> None:
    ours = {code: kind.status for code, kind in ProblemError.classes.items()}
    assert ours == {code: kind.status for code, kind in PROBLEMS.items()}


@pytest.mark.parametrize("code", PROBLEMS)
def test_each_class_is_named_like_its_code(code: str) -> None:
    expected = NAMED_OTHERWISE.get(code, code.title().replace("-", ""))
    error = error_of({"code": code}, PROBLEMS[code].status)
    assert type(error).__name__ == expected
    assert type(error).__doc__


@pytest.mark.parametrize(
    ("status", "parent"),
    [
        (400, BadRequest),
        (401, AccessError),
        (404, NotFound),
        (409, Conflict),
        (418, BadRequest),
        (428, ConditionError),
        (429, Unavailable),
        (599, Unavailable),
        (302, ProblemError),
    ],
)
def test_an_unknown_code_is_its_parent_by_status(status: int, parent: type[ProblemError]) -> None:
    error = error_of({"code": "from-the-future"}, status)
    assert type(error) is parent
    assert error.code == "from-the-future"


@pytest.mark.parametrize("detail", ["not a field", "a.b: not a field"])
def test_the_message_names_a_place_once(detail: str) -> None:
    places = [{"path": "a.b", "message": "not a field"}]
    error = error_of({"code": "invalid-filter", "detail": detail, "errors": places}, 422)
    assert str(error) == "invalid-filter: a.b: not a field"


def test_the_message_tells_code_detail_places_and_request() -> None:
    error = error_of(
        {
            "code": "validation-failed",
            "detail": "the body is wrong",
            "errors": [{"path": "tags", "message": "must be a list"}],
            "request_id": "r-9",
        },
        422,
    )
    text = "validation-failed: the body is wrong - tags: must be a list (request r-9)"
    assert str(error) == text
