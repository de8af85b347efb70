"""Where the operator's log goes: JSON lines on standard error."""

import logging

from spine_core.json_lines import JsonLines


def set_up(level: str) -> None:
    """Send all loggers to stderr; Kopf's own only from warnings on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)
