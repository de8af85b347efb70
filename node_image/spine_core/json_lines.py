"""The form of a log line: JSON, a fixed event name, facts beside it, never content or secrets.

Node and operator write the same form, so one query finds an event in both.
"""

import json
import logging

from spine_core.instants import rfc3339

_encode = json.JSONEncoder(default=str).encode
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One line per record: time, level, event, logger, what `extra` gave, and a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "ts": rfc3339(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return _encode(line)
