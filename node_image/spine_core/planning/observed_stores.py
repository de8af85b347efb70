"""The stores that a document names, as the reports show them. Pure.

A report counts for a store only if it comes from that very store id in this cluster; a missing one
leaves the store unknown, never gone.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from spine_core.planning.reports import SERVING, Report
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Document, Seat

Reports = Mapping[Seat, Report | None]  # None: the seat exists, no usable answer came

SYNC_AGE_MAX_S = 60.0  # six rounds of anti-entropy; older proves nothing about today


class ObservedStores:
    """The stores of one document, seen through one set of reports.

    Attributes:
        acked: have durably adopted exactly this document.
        live: of those, the ones that serve.
        behind: seat → store id of nodes that answer and are at an older epoch.
    """

    def __init__(self, document: Document, reports: Reports) -> None:
        self.document = document
        digest = document.digest()
        numbers = {store.id: number for number, store in document.stores.items()}
        ours = [
            (seat, report)
            for seat, report in reports.items()
            if report is not None and report.cluster_id in (None, document.cluster_id)
        ]
        self._known = {
            numbers[report.store_id]: report for _, report in ours if report.store_id in numbers
        }
        self.acked = frozenset(
            number
            for number, report in self._known.items()
            if (report.epoch, report.digest) == (document.epoch, digest)
        )
        self.live = frozenset(
            number for number in self.acked if self._known[number].status in SERVING
        )
        self.behind: Mapping[Seat, str] = {
            seat: report.store_id
            for seat, report in ours
            if (report.store_id in numbers or report.cluster_id == document.cluster_id)
            and (report.epoch or 0) < document.epoch
        }

    def known(self, number: StoreNumber) -> Report | None:
        """Return the report of a store, None when it is unknown."""
        return self._known.get(number)

    def synced(
        self, replicas: AbstractSet[StoreNumber], off: AbstractSet[StoreNumber] = frozenset()
    ) -> frozenset[StoreNumber]:
        """Return the replicas of a slot that have pulled from every other live one of late.

        Those in `off` neither count nor have to be pulled from.
        """
        live = (replicas & self.live) - off
        return frozenset(
            store
            for store in live
            if all(
                has_pulled(self._known[store], self._known[other], other)
                for other in live
                if other != store
            )
        )


def has_pulled(reader: Report, source: Report, number: StoreNumber) -> bool:
    """Freshness: whether a store has of late pulled all from `source`, which has this number.

    "Of late" is within six rounds of anti-entropy, and since both were started: a pull from before
    a restart says nothing about what was written while one of them was away.
    """
    age_s = reader.pulls.get(number)
    return age_s is not None and age_s < min(reader.up_s, source.up_s, SYNC_AGE_MAX_S)
