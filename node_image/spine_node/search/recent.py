"""Which versions the index has come to last, and of which records.

It answers for own writes: a session names a write by the hash of its key and its version. By the
version it is found here: no two writes share one, and the hash of every key that is indexed would
cost as much as its decoding. What is not remembered counts as not shown, which costs the asker a
second replica and never a wrong answer; older writes of a session are below the stable time and no
question.
"""

from collections import OrderedDict
from collections.abc import Iterable

from spine_core.records.versions import Version


class Recent:
    """Version → key of the record; the index shows it, or a later one of that record."""

    def __init__(self, remembered_max: int) -> None:
        self._remembered_max = remembered_max
        # an ordered dictionary: from a plain one the first item is not taken in constant time
        self._keys: OrderedDict[Version, bytes] = OrderedDict()

    def note(self, changes: Iterable[tuple[Version, bytes]]) -> None:
        """Take over what a committed batch has come to, the latest last."""
        self._keys.update(changes)
        while len(self._keys) > self._remembered_max:
            self._keys.popitem(last=False)

    def key_of(self, version: Version) -> bytes | None:
        """Return the key of the record that a write made, live or deleted, None when not known."""
        return self._keys.get(version)

    def clear(self) -> None:
        """Forget everything: the index is made anew."""
        self._keys.clear()
