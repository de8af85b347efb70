"""The rows of the status about zones and nodes. Pure."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

from spine_core.planning.wanted import Wanted
from spine_core.topology.document import Seat
from spine_operator.observe.observed import Observed
from spine_operator.resource.seats import named_seats


def zone_rows(observed: Observed, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Yield a row for every zone that is wanted, or still has pods or seats."""
    document = observed.document
    named = named_seats(document)
    joined = document.current.keys() if document else frozenset[Seat]()
    zones = {seat: address.zone for seat, address in wanted.seats.items()}
    listed = {zone.name: zone.drain for zone in observed.cluster.spec.zones}
    for zone in sorted({*listed, *observed.sets, *named.values()}):
        desired = [seat for seat, its_zone in zones.items() if its_zone == zone]
        pods = [pod for pod in observed.pods.values() if pod.zone == zone]
        ready = sum(pod.ready for pod in pods)
        members = [seat for seat in joined if named[seat] == zone]
        silent = [seat for seat in members if observed.reports.get(seat) is None]
        yield {
            "name": zone,
            "statefulSet": observed.cluster.key.statefulset(zone),
            "desired": len(desired),
            "nodes": len(pods),
            "ready": ready,
            "joined": len(members),
            "deferredReplicas": _deferred(observed, desired),
            "state": _zone_state(
                leaving=listed.get(zone, True) or len(members) > len(desired),
                silent=len(silent),
                members=len(members),
                ready=ready,
            ),
        }


def node_rows(observed: Observed) -> Iterator[dict[str, Any]]:
    """Yield a row for every seat that is named or has a pod."""
    document = observed.document
    numbers = {**document.current, **document.target} if document else {}
    zones = {**named_seats(document), **{s: pod.zone for s, pod in observed.pods.items()}}
    for seat, zone in sorted(zones.items()):
        report, number = observed.reports.get(seat), numbers.get(seat)
        row: dict[str, Any] = {"seat": seat, "zone": zone, "state": _node_state(observed, seat)}
        if report is not None:
            row |= {"storeId": report.store_id, "version": report.version}
        if number is not None:
            slots = len(observed.placement.slots_of(number))
            row |= {"storeNumber": number, "slots": slots}
        yield row


def _deferred(observed: Observed, desired: list[Seat]) -> int:
    """Return how many nodes wait for the end of the running change."""
    document = observed.document
    if document is None or document.change is None:
        return 0
    return sum(seat not in document.target for seat in desired)


def _zone_state(*, leaving: bool, silent: int, members: int, ready: int) -> str:
    if leaving:
        return "Draining"
    if members and silent == members:
        return "Unknown" if ready else "Down"
    return "Degraded" if silent or ready < members else "Healthy"


def _node_state(observed: Observed, seat: Seat) -> str:
    """Return the state of a seat: what the document says, unless its node says otherwise."""
    document, report = observed.document, observed.reports.get(seat)
    pod = observed.pods.get(seat)
    if report is None:
        if seat not in named_seats(document):
            return "Pending"
        return "Unknown" if pod is not None and pod.ready else "Down"
    if document is None or report.cluster_id is None:
        return "Unjoined" if report.status == "unjoined" else "Foreign"
    if report.cluster_id != document.cluster_id:
        return "Foreign"
    return _role(seat, document.current.keys(), document.target.keys())


def _role(seat: Seat, before: AbstractSet[Seat], after: AbstractSet[Seat]) -> str:
    match (seat in before, seat in after):
        case (True, True):
            return "Member"
        case (True, False):
            return "Leaving"
        case (False, True):
            return "Joining"
        case _:
            return "Left"
