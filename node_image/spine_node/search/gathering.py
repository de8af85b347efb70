"""Row by row: what of the rows that SQL found is a live record that matches.

The record that the store holds at this moment decides, not the row, so deleted and expired records
never appear, however old the index is. A damaged copy is no absence: the asker looks elsewhere.
"""

from collections.abc import Sequence

from spine_core.errors import CorruptRecordError
from spine_core.records.encoding import decode, is_absent
from spine_core.records.filters import Filter, matches
from spine_node.search.entries import memory_of
from spine_node.search.limits import IndexLimits
from spine_node.search.messages import (
    DAMAGED,
    Candidate,
    Position,
    QueryCall,
    address_of,
    slots_of_bytes,
)
from spine_node.search.walks import Row
from spine_node.store import Store, checksum, key_of


class Gathering:
    """The candidates of one page. `end` is the last position looked at."""

    def __init__(
        self, store: Store, call: QueryCall, where: Filter, limits: IndexLimits, *, exact: bool
    ) -> None:
        """Begin a page; `exact`: a row that fits matches, as long as it shows the version held."""
        self._store, self._call, self._where, self._exact = store, call, where, exact
        self._limits = limits
        self._asked = slots_of_bytes(call.slots)
        self._examined = 0
        self._bytes = 0
        self.candidates: list[Candidate] = []
        self.damaged: list[bytes] = []  # keys of records on the page that cannot be read
        self.end: Position | None = call.after

    @property
    def full(self) -> bool:
        """The page may take or cost no more."""
        return (
            len(self.candidates) >= self._call.limit
            or self._bytes >= self._limits.page_bytes_max
            or self._examined >= self._limits.examined_max
        )

    def take(self, window: Sequence[Row]) -> None:
        """Look at the next rows of the walk until the page is full."""
        for row in window:
            if self.full:
                return
            self._examined += 1
            self.end = row.position
            if row.fits and self._asked >> row.slot & 1:
                raw = self._matching(row)
                if raw is not None:
                    self._bytes += len(raw)
                    self.candidates.append(Candidate(row.position, row.slot, raw))

    def _matching(self, row: Row) -> bytes | None:
        namespace, memory_id = address_of(self._call.order, row.position)
        key = key_of(row.slot, namespace, memory_id)
        raw = self._store.get(key)
        if raw is None:
            return None
        try:
            record = decode(raw, checksum)
        except CorruptRecordError:
            self.damaged.append(key)
            return DAMAGED
        if is_absent(record, self._call.now_ms):
            return None
        if self._exact and record.version == row.version:
            return raw
        memory = memory_of(namespace, memory_id, record)
        return raw if matches(self._where, memory, self._call.now_ms) else None
