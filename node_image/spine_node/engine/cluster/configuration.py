"""The part of the configuration that may change while a node runs (operator.md §4.1).

One parser reads the sections of the static cluster file and of the operator's `config.yaml`.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from spine_core.errors import InvalidInputError
from spine_core.records.consistency import SEED, Consistency

logger = logging.getLogger("spine.node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What requests are served by, beside the topology document."""

    consistency: Consistency = SEED
    read_quorum: int = 1

    def digest(self) -> str:
        """Name these values, so that the operator can see that all nodes have them."""
        overrides = [(sorted(o.tags), str(o.model)) for o in self.consistency.overrides]
        text = repr((str(self.consistency.default), overrides, self.read_quorum))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class LiveConfiguration:
    """The values in force; `refresh` reads them again and keeps them when the file is broken."""

    def __init__(self, load: Callable[[], Configuration]) -> None:
        self._load = load
        self.now = load()

    def refresh(self) -> None:
        """Take over what the file says now."""
        try:
            self.now = self._load()
        except (InvalidInputError, OSError) as error:
            logger.error("configuration_refused", extra={"why": str(error)})
