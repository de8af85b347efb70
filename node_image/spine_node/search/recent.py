"""Which versions the index shows of the records that changed last, by key hash.

It answers for own writes: a session names a record by its hash alone. What is not remembered counts
as not shown, which costs the asker a second replica and never a wrong answer; older writes of a
session are below the stable time and no question.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from spine_core.records.versions import Version
from spine_node.search.entries import Entry


class Shown(NamedTuple):
    """What the index shows of one record."""

    key: bytes
    slot: int
    version: Version


class Recent:
    """Key hash → what is shown, the latest change last."""

    def __init__(self, remembered_max: int) -> None:
        self._remembered_max = remembered_max
        # an ordered dictionary: from a plain one the first item is not taken in constant time
        self._shown: OrderedDict[int, Shown] = OrderedDict()

    def note(self, entries: Iterable[Entry]) -> None:
        """Take over what a committed batch shows."""
        for entry in entries:
            hashed = entry.hash
            self._shown[hashed] = Shown(entry.key, entry.slot, entry.version)
            self._shown.move_to_end(hashed)
        while len(self._shown) > self._remembered_max:
            self._shown.popitem(last=False)

    def get(self, hashed: int) -> Shown | None:
        """Return what is shown under a key hash, live or deleted, None when it is not known."""
        return self._shown.get(hashed)

    def clear(self) -> None:
        """Forget everything: the index is made anew."""
        self._shown.clear()
