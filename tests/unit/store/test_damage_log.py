"""A damaged record is named in the log, and does not fill it."""

import pytest

from spine_node.store import DamageLog, key_of
from spine_node.store.damage_log import INTERVAL_MS, REMEMBERED_MAX

KEY = key_of(7, "team", "mine")


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[object, ...]]:
    return [
        (r.message, vars(r)["namespace"], vars(r)["id"], vars(r).get("store"))
        for r in caplog.records
    ]


def test_a_record_is_named_once_in_an_interval(caplog: pytest.LogCaptureFixture) -> None:
    now = [0]
    log = DamageLog(lambda: now[0])
    for now[0] in range(0, INTERVAL_MS, INTERVAL_MS // 100):
        log.note(KEY, store=2)
    assert lines(caplog) == [("record_damaged", "team", "mine", 2)]
    now[0] = INTERVAL_MS
    log.note(KEY, store=2)
    assert len(caplog.records) == 2


def test_each_copy_is_named_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    log = DamageLog(lambda: 0)
    for store in (None, 1, 2, 1):
        log.note(KEY, store=store)
    assert [line[3] for line in lines(caplog)] == [None, 1, 2]


def test_it_remembers_no_more_than_it_may(caplog: pytest.LogCaptureFixture) -> None:
    log = DamageLog(lambda: 0)
    for number in range(REMEMBERED_MAX + 1):
        log.note(key_of(7, "team", f"m-{number}"))
    log.note(key_of(7, "team", f"m-{REMEMBERED_MAX}"))
    assert len(caplog.records) == REMEMBERED_MAX + 1
    log.note(key_of(7, "team", "m-0"))  # forgotten, so it is named again
    assert len(caplog.records) == REMEMBERED_MAX + 2
