"""Where a node's log goes: JSON lines on standard error."""

import logging
import sys

from spine_core.json_lines import JsonLines


def configure_logging(level: str) -> None:
    """Send everything of this process to standard error."""
    # Nobody reads these, and each line of the audit would pay for them (logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - documented there: no walk through the frames
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
