"""The slots that the running change gives to this store, and which of them it has pulled.

The checkpoint of a slot is durable and names the change, so a restart goes on where it was.
"""

from dataclasses import dataclass

import msgspec

from spine_core.scalars import Slot, StoreNumber
from spine_node.clock import Clock
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.store import Store


class PullCheckpoint(msgspec.Struct, array_like=True, frozen=True):
    """A slot is here as a whole: durable once its pull is complete."""

    change: str
    sources: tuple[StoreNumber, ...]  # stores it was pulled from
    root: bytes  # its digest then, for people


_checkpoint = msgspec.msgpack.Decoder(PullCheckpoint)


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
    def pending(self) -> frozenset[Slot]:
        """The slots still to be pulled."""
        return self.gained - self.pulled


class TransferTracker:
    """Follows the changes that this store has a part in."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._progress: TransferProgress | None = None

    def follow(self, view: MemberView | None) -> TransferProgress | None:
        """Return the progress of the change in force, None without a part in one."""
        change = view.document.change if view else None
        if view is None or change is None:
            self._progress = None
        elif self._progress is None or self._progress.change != change.id:
            gained = view.placement.gained().get(view.number, frozenset())
            pulled = {slot for slot in gained if self._is_pulled(slot, change.id)}
            self._progress = TransferProgress(change.id, gained, pulled, 0, 0, self._clock.now())
        return self._progress

    def _is_pulled(self, slot: int, change: str) -> bool:
        raw = self._store.pull_checkpoint(slot)
        return raw is not None and _checkpoint.decode(raw).change == change
