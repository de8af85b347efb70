"""`session:merge`: several tokens become one."""

from typing import Any

import pytest

from spine_core.records.sessions import Session, open_session, seal_session
from spine_core.scalars import Hlc
from unit.http.harness import SESSION_KEY, HttpHarness

MERGE = "/v1/session:merge"


async def test_the_merged_token_covers_them_all(harness: HttpHarness) -> None:
    tokens = [seal_session(Session(t=Hlc(t), o=Hlc(9 - t)), SESSION_KEY) for t in range(9)]
    answer = await harness.ask("POST", MERGE, {"tokens": tokens})
    assert open_session(answer.json["token"], [SESSION_KEY]) == Session(t=Hlc(8), o=Hlc(9))


@pytest.mark.parametrize(
    ("tokens", "status"),
    [
        ([], 422),
        (["x"] * 17, 422),
        (["x" * 601], 422),
        ([7], 422),
        (["x"], 400),
        ([seal_session(Session(t=Hlc(1)), b"another key")], 400),
        ([seal_session(Session(t=Hlc(1)), SESSION_KEY) + "A"], 400),
    ],
)
async def test_a_wrong_token_is_refused(
    harness: HttpHarness, tokens: list[Any], status: int
) -> None:
    answer = await harness.ask("POST", MERGE, {"tokens": tokens})
    assert answer.status == status
    if status == 400:
        assert answer.code == "invalid-session"
