"""Names damaged records in the log, each of them only now and then.

Whoever reads a damaged record finds it again with every read and every list, so a line for each time
would bury all others.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from spine_node.store.layout import split_key

INTERVAL_MS: Final = 10 * 60 * 1000  # between two lines about one record
REMEMBERED_MAX: Final = 1000  # records; of more than that the oldest are named again sooner

logger = logging.getLogger("spine.store")


class DamageLog:
    """What was said of damaged records, and when."""

    def __init__(self, physical_ms: Callable[[], int]) -> None:
        self._physical_ms = physical_ms
        self._told: OrderedDict[tuple[int | None, bytes], int] = OrderedDict()  # oldest first

    def note(self, key: bytes, *, store: int | None = None) -> None:
        """Log that a record fails its checksum; `store` is the number of the store that holds it."""
        now_ms = self._physical_ms()
        told_ms = self._told.get((store, key))
        if told_ms is not None and now_ms - told_ms < INTERVAL_MS:
            return
        self._told[store, key] = now_ms
        self._told.move_to_end((store, key))
        if len(self._told) > REMEMBERED_MAX:
            self._told.popitem(last=False)
        _, namespace, memory_id = split_key(key)
        extra: dict[str, object] = {"namespace": namespace, "id": memory_id}
        if store is not None:
            extra["store"] = store
        logger.error("record_damaged", extra=extra)
