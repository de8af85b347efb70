"""JSON lines on standard error: a fixed event name, facts beside it, never content or secrets."""

import json
import logging
import sys

from spine_node.clock import rfc3339

_encode = json.JSONEncoder(default=str).encode
_KNOWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One line per record: time, level, event, logger, and what `extra` gave."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "ts": rfc3339(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
        }
        line |= {key: value for key, value in vars(record).items() if key not in _KNOWN}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return _encode(line)


def configure_logging(level: str) -> None:
    """Send everything of this process to standard error."""
    # Nobody reads these, and each line of the audit would pay for them (logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - documented there: no walk through the frames
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
