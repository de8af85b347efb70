"""What probes, the operator and people ask about a node, and what the operator tells it."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spine_core.records.encoding import header_of, split_body
from spine_core.records.ids import PartitionStrategy, slot_of
from spine_core.records.versions import etag_of
from spine_node.engine.cluster.configuration import Configuration
from spine_node.engine.cluster.topology_view import Membership
from spine_node.engine.replication.throttle import Throttle
from spine_node.engine.upkeep.health import Health
from spine_node.engine.upkeep.report import ReportBuilder
from spine_node.metrics import Metrics
from spine_node.search.index import QueryIndex
from spine_node.store import Store, key_of


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOperations:
    """The `Operations` of `spine_node.ports`."""

    cluster_name: str
    strategy: PartitionStrategy
    quota_bytes: int
    configuration: Callable[[], Configuration]
    health: Health
    membership: Membership
    reports: ReportBuilder
    throttle: Throttle
    store: Store
    index: QueryIndex
    registry: Metrics

    def live(self) -> bool:
        """The process is able to work: its disk takes writes."""
        return self.store.failure is None

    def ready(self) -> str | None:
        """None when clients may come, else why not."""
        return self.health.unready()

    def full(self) -> bool:
        """Tell whether the store takes no more than deletions."""
        return self.store.is_full

    def started(self) -> bool:
        """Start-up has ended: the store is open, or we would not be here."""
        return True

    def cluster(self, *, slots: bool) -> dict[str, Any]:
        """Describe the cluster as this node knows it."""
        return self.reports.cluster(
            self.cluster_name, self.configuration(), self.strategy, slots=slots
        )

    def report(self, *, slots: bool) -> dict[str, Any]:
        """Describe this node to the operator."""
        return self.reports.report(self.configuration(), slots=slots)

    def store_id(self) -> str:
        """The identity of this node's store."""
        return self.store.identity.store_id

    def topology(self) -> bytes | None:
        """Return the persisted topology document."""
        return self.store.document

    async def adopt(self, document: bytes) -> tuple[int, str]:
        """Adopt a topology document durably; answer (epoch, digest)."""
        view = await self.membership.adopt(document)
        return view.epoch, view.digest

    def set_pace(self, *, bytes_per_s: int, slots: int) -> None:
        """Bound the pulls of this node."""
        self.throttle.bytes_per_s, self.throttle.slots = bytes_per_s, slots

    async def drain(self, *, on: bool) -> int:
        """Turn client traffic away, or let it in again."""
        self.health.draining = on
        return self.health.in_flight.count

    async def resign(self) -> None:
        """Coordinate no more."""
        self.health.resigned = True

    def own_record(self, namespace: str, memory_id: str) -> Mapping[str, Any] | None:
        """Return this store's own copy."""
        slots = self.membership.member_view().document.slots
        raw = self.store.get(key_of(slot_of(namespace, memory_id, slots), namespace, memory_id))
        if raw is None:
            return None
        header = header_of(raw)
        return {
            "version": etag_of(header.version),
            "flags": header.flags,
            "body_base64": base64.b64encode(split_body(raw[-header.length :])[1]).decode(),
            "register": None,
        }

    def metrics(self) -> bytes:
        """Return the Prometheus text of this node."""
        self.registry.disk_used.set(self.reports.used_bytes() / self.quota_bytes)
        self.registry.index_lag.set(self.index.lag_ms() / 1000)
        return self.registry.text()
