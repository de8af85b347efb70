"""Builds the status report for the operator and the description of the cluster for clients.

Reads what other parts of the engine know, and decides nothing; shapes as in operator.md §5.1 and `GET /v1/cluster`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spine_core.planning.reports import slots_to_hex
from spine_core.scalars import StoreNumber
from spine_node.clock import Clock
from spine_node.engine.cluster.configuration import Configuration
from spine_node.engine.cluster.topology_view import Membership, TopologyView
from spine_node.engine.replication.anti_entropy import AntiEntropy
from spine_node.engine.replication.throttle import Throttle
from spine_node.engine.replication.transfer_progress import TransferProgress, TransferTracker
from spine_node.engine.upkeep.gossip import GossipLoop
from spine_node.engine.upkeep.health import Health
from spine_node.links.frames import WIRE_VERSION
from spine_node.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBuilder:
    """What a report is built from."""

    seat: str
    version: str
    quota_bytes: int
    store: Store
    membership: Membership
    gossip: GossipLoop
    health: Health
    transfers: TransferTracker
    anti_entropy: AntiEntropy
    throttle: Throttle
    clock: Clock

    def report(self, configuration: Configuration, *, slots: bool) -> dict[str, Any]:
        """Return the body of `GET /admin/v1/status`."""
        view, identity = self.membership.view, self.store.identity
        report: dict[str, Any] = {
            "wire": WIRE_VERSION,
            "version": self.version,
            "seat": self.seat,
            "cluster_id": view.document.cluster_id if view else None,
            "store": {"id": identity.store_id, "number": view.number if view else None},
            "boot": identity.boot,
            "up_s": round(self.clock.now() - self.health.started_at, 3),
            "clean": self.health.resigned,
            "status": self.health.status(),
            "epoch": view.epoch if view else None,
            "digest": view.digest if view else None,
            "config_digest": configuration.digest(),
            "change": self._change(view, self.transfers.follow(self.membership.member)),
            "pulls": {
                str(source): round(age, 1) for source, age in self.anti_entropy.ages_s().items()
            },
            "peers": self.gossip.peers(),
            "disk": {"used": self.used_bytes(), "quota": self.quota_bytes},
            "pace": {"bytes_per_s": self.throttle.bytes_per_s, "slots": self.throttle.slots},
            "jobs": [],
        }
        if slots:
            report["slots"] = self._slot_sizes(view)
        return report

    def cluster(
        self, name: str, configuration: Configuration, strategy: str, *, slots: bool
    ) -> dict[str, Any]:
        """Return the body of `GET /v1/cluster`, without `limits`, which the edge knows."""
        view = self.membership.member_view()
        document, consistency = view.document, configuration.consistency
        numbers = sorted(document.members())
        answer: dict[str, Any] = {
            "name": name,
            "version": self.version,
            "epoch": view.epoch,
            "phase": str(document.phase),
            "replication": {
                "factor": document.factor,
                "write_quorum": document.write_quorum,
                "read_quorum": configuration.read_quorum,
            },
            "consistency": {
                "default": str(consistency.default),
                "overrides": [
                    {"tags": sorted(over.tags), "model": str(over.model)}
                    for over in consistency.overrides
                ],
            },
            "partitioning": {
                "strategy": strategy,
                "virtual_nodes": document.virtual_nodes,
                "slots": document.slots,
            },
            "nodes": [self._node(view, number) for number in numbers],
        }
        if slots:
            place = {number: index for index, number in enumerate(numbers)}
            answer["slots"] = [
                [place[store] for store in view.placement.read_set(slot)]
                for slot in view.placement.slots
            ]
        return answer

    def _node(self, view: TopologyView, number: StoreNumber) -> dict[str, Any]:
        info = view.document.stores[number]
        status = self.health.status() if number == view.number else self.gossip.status(number)
        return {
            "id": info.seat,
            "zone": info.zone,
            "role": "primary",
            "status": status,
            "slots": len(view.placement.slots_of(number)),
        }

    def _change(
        self, view: TopologyView | None, progress: TransferProgress | None
    ) -> dict[str, Any] | None:
        if view is None or progress is None:
            return None
        return {
            "id": progress.change,
            "pulled": slots_to_hex(progress.pulled, view.document.slots),
            "gained": len(progress.gained),
            "bytes_done": progress.bytes_done,
            "bytes_total": max(progress.bytes_total, progress.bytes_done),
            "idle_s": round(self.clock.now() - progress.moved_at, 1),
        }

    def used_bytes(self) -> int:
        """Return the bytes of all records held here, tombstones included."""
        view = self.membership.view
        total = view.document.slots if view else 0
        return sum(self.store.slot_stats(slot)[1] for slot in range(total))

    def _slot_sizes(self, view: TopologyView | None) -> Mapping[str, tuple[int, int]]:
        total = view.document.slots if view else 0
        sizes = ((slot, self.store.slot_stats(slot)) for slot in range(total))
        return {str(slot): stats for slot, stats in sizes if stats[0]}
