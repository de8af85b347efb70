import json
import logging
import sys

from spine_core.json_lines import JsonLines


def line(record: logging.LogRecord) -> dict[str, object]:
    text = JsonLines().format(record)
    assert "\n" not in text
    parsed: dict[str, object] = json.loads(text)
    return parsed


def test_a_line_is_the_event_with_its_facts_beside_it() -> None:
    facts = {"name": "spine.node", "levelno": logging.INFO, "levelname": "INFO"}
    record = logging.makeLogRecord({**facts, "msg": "adopted", "created": 1.5, "epoch": 7})
    assert line(record) == {
        "ts": "1970-01-01T00:00:01.500Z",
        "level": "info",
        "event": "adopted",
        "logger": "spine.node",
        "epoch": 7,
    }


def test_a_traceback_hides_no_fact() -> None:
    try:
        int("no\nnumber")
    except ValueError:
        caught = sys.exc_info()
    record = logging.makeLogRecord({"msg": "failed", "error": "refused", "exc_info": caught})
    said = line(record)
    assert said["error"] == "refused"
    assert "ValueError" in str(said["trace"])


def test_what_json_does_not_know_is_written_as_text() -> None:
    record = logging.makeLogRecord({"msg": "x", "path": JsonLines})
    assert line(record)["path"] == str(JsonLines)
