"""The slots that the running change gives to this store, and which of them it has pulled.

A slot's mark is durable and names the change, so a restart goes on where it was.
"""

from dataclasses import dataclass

import msgspec

from spine_core.scalars import Slot
from spine_node.clock import Clock
from spine_node.engine.cluster.topology_view import TopologyView
from spine_node.store import Store


@dataclass(slots=True)
class TransferProgress:
    """How far the pulls of one change have come, on this store."""

    change: str
    gained: frozenset[Slot]
    pulled: set[Slot]
    bytes_done: int
    bytes_total: int
    moved_at: float  # when a slot was last completed, in seconds of the loop

    @property
    def left(self) -> frozenset[Slot]:
        """The slots still to be pulled."""
        return self.gained - self.pulled


class TransferTracker:
    """Follows the changes that this store has a part in."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._progress: TransferProgress | None = None

    def follow(self, view: TopologyView | None) -> TransferProgress | None:
        """Return the progress of the change in force, None without a part in one."""
        change = view.document.change if view else None
        if view is None or change is None or view.number is None:
            self._progress = None
        elif self._progress is None or self._progress.change != change.id:
            gained = view.placement.gained().get(view.number, frozenset())
            pulled = {slot for slot in gained if self._marked(slot, change.id)}
            self._progress = TransferProgress(change.id, gained, pulled, 0, 0, self._clock.now())
        return self._progress

    def _marked(self, slot: int, change: str) -> bool:
        mark = self._store.pull_mark(slot)
        return mark is not None and msgspec.msgpack.decode(mark)[0] == change
