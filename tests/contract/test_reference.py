"""The reference pages say what the code does, no more and no less."""

import re

from contract.api_page import FILE, api_page
from spine_core.problems import PROBLEMS

PROBLEMS_PAGE = FILE.with_name("problems.md")
ROW = re.compile(r"^\| `([a-z-]+)` \| (\d+) \| (yes|no) \| ([a-z-]+) \| (.+) \|$", re.MULTILINE)


def test_the_api_page_is_what_the_routes_make_of_it() -> None:
    assert FILE.read_text(encoding="utf-8") == api_page()


def test_every_problem_code_has_its_row_and_nothing_else_has_one() -> None:
    rows = ROW.findall(PROBLEMS_PAGE.read_text(encoding="utf-8"))
    written = {
        code: (int(status), retry == "yes", None if outcome == "reads" else outcome)
        for code, status, retry, outcome, _advice in rows
    }
    assert len(written) == len(rows)
    assert written == {
        code: (kind.status, kind.retryable, kind.outcome) for code, kind in PROBLEMS.items()
    }


def test_the_rows_stand_in_the_order_of_their_status() -> None:
    rows = ROW.findall(PROBLEMS_PAGE.read_text(encoding="utf-8"))
    statuses = [int(status) for _code, status, *_rest in rows]
    assert statuses == sorted(statuses)
