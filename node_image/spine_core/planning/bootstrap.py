"""Bootstrap: make epoch 1 once every wanted node shows an empty store that knows no cluster. Pure."""

from spine_core.planning.actions import Action, Blocked, Publish, Step, Wait
from spine_core.planning.guards import Block, Guard, placement_possible
from spine_core.planning.observed_stores import Reports
from spine_core.planning.planning_input import first_blocked
from spine_core.planning.wanted import Wanted
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Document, StoreInfo


def bootstrap(reports: Reports, wanted: Wanted, *, cluster_id: str) -> Action:
    """Return the action to take while there is no document.

    One store that knows a cluster is enough to stop: its document is lost, not yet to be written.
    """
    used = sorted(
        seat
        for seat, report in reports.items()
        if report is not None and (report.cluster_id is not None or report.status != "unjoined")
    )
    if used:
        message = (
            f"{', '.join(used)} belonged to a cluster before, and its topology document is missing;"
            " rebuilding a lost document is not built yet"
        )
        return Blocked(guard=Guard.DOCUMENT_WHOLE, verdict=Block(message), step=Step.STORES)
    everyone = dict.fromkeys((*wanted.seats, *reports))
    silent = [seat for seat in everyone if reports.get(seat) is None]
    if silent:
        total = len(everyone)
        message = f"waiting for an empty store on {', '.join(silent)}"
        return Wait(step=Step.STORES, message=message, done=total - len(silent), total=total)
    zones = {seat: address.zone for seat, address in wanted.seats.items()}
    possible = placement_possible(zones, factor=wanted.factor, zone_policy=wanted.zone_policy)
    blocked = first_blocked([(Guard.PLACEMENT_POSSIBLE, possible)], Step.PLAN)
    if blocked:
        return blocked
    document = _first_document(reports, wanted, cluster_id)
    why = f"{wanted.name} begins with {len(wanted.seats)} nodes"
    return Publish(document=document, step=Step.COMMIT, why=why)


def _first_document(reports: Reports, wanted: Wanted, cluster_id: str) -> Document:
    """Number the stores 1..N in the order of the seats."""
    stores: dict[StoreNumber, StoreInfo] = {}
    for count, (seat, address) in enumerate(wanted.seats.items(), start=1):
        number = StoreNumber(count)
        report = reports[seat]
        assert report is not None, "every wanted seat has reported"
        stores[number] = StoreInfo(
            id=report.store_id, seat=seat, zone=address.zone, url=address.url
        )
    return Document(
        cluster_id=cluster_id,
        epoch=1,
        slots=wanted.slots,
        virtual_nodes=wanted.virtual_nodes,
        factor=wanted.factor,
        write_quorum=wanted.write_quorum,
        zone_policy=wanted.zone_policy,
        stores=stores,
        current={store.seat: number for number, store in stores.items()},
        next_number=len(stores) + 1,
    )
