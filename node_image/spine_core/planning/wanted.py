"""What the caller of `next_action` wants the cluster to be. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass

from spine_core.topology.ring import VIRTUAL_NODES, Seat, Zone, ZonePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatAddress:
    """The zone of a seat, and the address at which its node answers."""

    zone: Zone
    url: str  # host:port


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The seats and the parameters of a cluster. Seats join in the order given."""

    name: str
    seats: Mapping[Seat, SeatAddress]
    factor: int = 3
    write_quorum: int = 2
    zone_policy: ZonePolicy = "strict"
    virtual_nodes: int = VIRTUAL_NODES
    slots: int = 4096
    max_nodes_per_change: int = 16  # bounds what moves before the next decision
    stall_timeout_s: float = 600.0  # no slot pulled for so long: the change is taken back
    min_free_disk_percent: int = 20  # LMDB needs free pages for the transactions after a pull

    def zones(self) -> tuple[Zone, ...]:
        """Return the zones in the order in which seats name them."""
        return tuple(dict.fromkeys(address.zone for address in self.seats.values()))
