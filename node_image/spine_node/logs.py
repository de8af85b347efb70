"""Where a node's log goes: JSON lines on standard error."""

import asyncio
import logging
import sys
from typing import TextIO

from spine_core.json_lines import JsonLines


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes records at once, and the lines that requests queue together, once per turn of the loop.

    A line that was queued goes before a record that comes after it, and at the end of the process the
    rest goes out like every handler's (`logging.shutdown`). Only what ends the process at once, as
    SIGKILL, takes the lines of its turn with it. A stream that takes nothing blocks as it would with one
    write for each line; one that is closed loses lines, as logging does.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.setFormatter(JsonLines())
        self._queued: list[str] = []

    def queue(self, line: str) -> None:
        """Write a line at the end of this turn of the running loop."""
        assert self.lock is not None, "logging makes it"
        with self.lock:  # other threads log too
            if not self._queued:
                asyncio.get_running_loop().call_soon(self.flush)
            self._queued.append(line)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, after the lines that are queued."""
        self.flush()
        super().emit(record)

    def flush(self) -> None:
        """Write what is queued, in one piece."""
        assert self.lock is not None, "logging makes it"
        with self.lock:
            lines, self._queued = self._queued, []
            try:
                if lines:
                    self.stream.write("\n".join(lines) + self.terminator)
                super().flush()
            except (OSError, ValueError):  # broken or closed
                return


def configure_logging(level: str) -> LineHandler:
    """Send everything of this process to standard error, and return the handler that writes it."""
    # Nobody reads these, and each line would pay for them (logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - documented there: no walk through the frames
    handler = LineHandler(sys.stderr)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    return handler
