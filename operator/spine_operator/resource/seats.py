"""Which seats the spec asks for, which the document names, and how many pods each zone needs. Pure.

Invariant (I4): a zone never gets fewer pods than its highest seat of current ∪ target needs.
"""

from collections.abc import Callable, Iterable, Mapping

from spine_core import defaults
from spine_core.planning.wanted import SeatAddress, Wanted
from spine_core.topology.document import Document, Seat, Zone
from spine_core.topology.seats import ordinal_of, wanted_seats
from spine_operator.resource.spec import ClusterResource

AddressOf = Callable[[Seat], str | None]


def host_port(cluster: ClusterResource, seat: Seat, address_of: AddressOf) -> str:
    """Return where a node answers: its DNS name, or another address that a test has given."""
    return address_of(seat) or f"{seat}.{cluster.key.node_domain}:{defaults.PORT}"


def wanted_by(cluster: ClusterResource, address_of: AddressOf) -> Wanted:
    """Return what the spec asks of the topology."""
    spec = cluster.spec
    counts = {zone.name: zone.nodes for zone in spec.zones if zone.nodes is not None}
    seats = wanted_seats(
        cluster.key.name,
        [zone.name for zone in spec.zones],
        spec.nodes,
        counts=counts or None,
        draining={zone.name for zone in spec.zones if zone.drain},
    )
    return Wanted(
        name=cluster.key.name,
        seats={
            seat: SeatAddress(zone=zone, url=host_port(cluster, seat, address_of))
            for seat, zone in seats
        },
        factor=spec.replication.factor,
        write_quorum=spec.replication.write_quorum,
        zone_policy=spec.replication.zone_policy,
        virtual_nodes=spec.virtual_nodes,
        max_nodes_per_change=spec.rebalance.nodes_per_change,
        stall_timeout_s=float(spec.rebalance.stall_timeout_s),
        min_free_disk_percent=spec.rebalance.min_free_disk_percent,
    )


def named_seats(document: Document | None) -> Mapping[Seat, Zone]:
    """Return the seats of current and target, with their zones."""
    if document is None:
        return {}
    seats = {**document.current, **document.target}
    return {seat: document.stores[number].zone for seat, number in seats.items()}


def pods_for(seats: Mapping[Seat, Zone], zone: Zone) -> int:
    """Return how many pods a zone needs to hold its seats."""
    return highest(seat for seat, its_zone in seats.items() if its_zone == zone) + 1


def highest(seats: Iterable[Seat]) -> int:
    """Return the highest ordinal, -1 when there is no seat."""
    return max((ordinal_of(seat) for seat in seats), default=-1)
