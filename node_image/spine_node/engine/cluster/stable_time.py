"""The sync matrix and the stable time that follows from it (protocol.md §9.2).

Row M[reader]: store → when the reader last completed a pull from it (HLC, taken before the pull
began), the worst of the slots they share. Ours is measured here, the others' come by gossip. A row
counts only under the epoch in which its pulls were made.
"""

from collections.abc import Mapping

from spine_core.replication.stable_time import stable_time
from spine_core.scalars import Hlc, Slot, StoreNumber
from spine_node.engine.cluster.topology_view import TopologyView


class StableTimes:
    """The matrix as this node knows it."""

    def __init__(self) -> None:
        self._rows: dict[
            StoreNumber, tuple[int, Mapping[StoreNumber, Hlc]]
        ] = {}  # reader → (epoch, row)
        self._known: dict[tuple[StoreNumber, ...], Hlc] = {}  # write set → F, until a row changes

    def put_row(self, reader: StoreNumber, epoch: int, row: Mapping[StoreNumber, Hlc]) -> None:
        """Take over the newest row of a reader."""
        if self._rows.get(reader) != (epoch, row):
            self._rows[reader] = (epoch, dict(row))
            self._known.clear()

    def row(self, reader: StoreNumber, epoch: int) -> Mapping[StoreNumber, Hlc]:
        """Return a reader's row, empty when it is of another epoch."""
        of_epoch, row = self._rows.get(reader, (epoch, {}))
        return row if of_epoch == epoch else {}

    def of(self, view: TopologyView, slot: Slot) -> Hlc:
        """Return F of a slot as HLC: every write timestamped up to it is on every replica."""
        write_set = view.placement.write_set(slot)
        known = self._known.get(write_set)
        if known is None:
            pairs = {
                (reader, source): at
                for reader in write_set
                for source, at in self.row(reader, view.epoch).items()
            }
            known = self._known[write_set] = stable_time(pairs, write_set)
        return known

    def lowest(self, view: TopologyView) -> Hlc:
        """Return the lowest F of all slots."""
        groups = view.placement.groups.values()  # all slots of one have the same replicas
        return min(self.of(view, slots[0]) for slots in groups)

    def forget(self) -> None:
        """Drop the stable times that were derived: the epoch has changed."""
        self._known.clear()
