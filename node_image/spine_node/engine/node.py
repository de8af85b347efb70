"""One node: its rooms, wired; what runs in the background; what the edges may ask.

The same node runs alone, from a cluster file and on Kubernetes; only who brings the topology
document differs (`spine_node.__main__`).
"""

import asyncio
import base64
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from spine_core.errors import ClockSkewError, ProblemError
from spine_core.records.consistency import Consistency
from spine_core.records.encoding import header_of, split_body
from spine_core.records.hlc import HybridClock
from spine_core.records.ids import PartitionStrategy, slot_of
from spine_core.records.versions import etag_of
from spine_node.clock import Clock
from spine_node.engine.cluster.configuration import LiveConfiguration
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.replica import GET, PUT, Replica
from spine_node.engine.cluster.replica_client import ReplicaClient
from spine_node.engine.cluster.secrets import Secrets
from spine_node.engine.cluster.stable_time import StableTimes
from spine_node.engine.cluster.timestamps import HlcAllocator
from spine_node.engine.cluster.topology_service import TOPOLOGY, TopologyService
from spine_node.engine.cluster.topology_view import Membership, TopologyView
from spine_node.engine.coordinator.read import ReadCoordinator
from spine_node.engine.coordinator.write import WriteCoordinator
from spine_node.engine.query.list_coordinator import ListCoordinator
from spine_node.engine.query.query_replicas import QUERY, ClusterQueryReplicas
from spine_node.engine.replication.anti_entropy import AntiEntropy
from spine_node.engine.replication.mover import Mover
from spine_node.engine.replication.pull_server import PullServer
from spine_node.engine.replication.slot_transfer import SlotTransfer
from spine_node.engine.replication.throttle import Throttle
from spine_node.engine.replication.transfer_progress import TransferTracker
from spine_node.engine.upkeep.gossip import GOSSIP, GossipLoop
from spine_node.engine.upkeep.health import Health
from spine_node.engine.upkeep.report import ReportBuilder
from spine_node.engine.upkeep.slot_gc import SlotGarbageCollector
from spine_node.engine.upkeep.timers import Upkeep
from spine_node.links.hello import LinkIdentity
from spine_node.links.mesh import Mesh, MeshSettings
from spine_node.links.server import LinkServer, Service
from spine_node.links.tls import TlsContexts
from spine_node.metrics import Metrics
from spine_node.ports import (
    ListOutcome,
    ListRequest,
    ReadOutcome,
    ReadRequest,
    WriteOutcome,
    WriteRequest,
)
from spine_node.search.index import QueryIndex
from spine_node.store import Store, key_of

logger = logging.getLogger("spine.node")


PULL_SLOTS = 4  # of a change at once, until the operator says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """What a node is made of, fixed for the life of the process."""

    name: str  # of the cluster
    seat: str
    version: str
    strategy: PartitionStrategy
    pull_bytes_per_s: int
    quota_bytes: int  # of the store
    drop_after_s: float = 3600.0  # how long a lost slot is kept
    index_file: Path  # of the query index, a cache beside the store
    secrets: Secrets
    tls: TlsContexts | None
    configuration: LiveConfiguration


class Node:
    """`Engine` and `Operations` of `spine_node.ports`. `run` until cancelled, then `close`."""

    def __init__(
        self, options: NodeOptions, store: Store, hlc: HybridClock, clock: Clock,
        mesh_of: Callable[[MeshSettings, Clock], Mesh] = Mesh,
    ) -> None:  # fmt: skip
        self.options, self.store, self.clock = options, store, clock
        self.configuration = options.configuration
        secrets, tls = options.secrets, options.tls
        self.registry = Metrics()
        self.hlc = HlcAllocator(store, hlc, clock)
        self.membership = Membership(store)
        me = LinkIdentity(
            cluster_id=lambda: self.membership.cluster_id,
            store_id=store.identity.store_id,
            boot=store.identity.boot,
            epoch=lambda: self.membership.epoch,
        )
        self.mesh = mesh_of(self._mesh_settings(me), clock)
        self.replica = Replica(store, self.membership)
        self.replicas = ReplicaClient(self.mesh, self.replica, self.membership, store, clock)
        context = Context(
            store=store,
            membership=self.membership,
            replicas=self.replicas,
            hlc=self.hlc,
            clock=clock,
            metrics=self.registry,
        )
        self.stable = StableTimes()
        self.throttle = Throttle(clock, bytes_per_s=options.pull_bytes_per_s, slots=PULL_SLOTS)
        self.reads = ReadCoordinator(context, self.stable, lambda: self.configuration.now)
        self.writes = WriteCoordinator(
            context, self.reads, lambda: self.configuration.now, options.strategy
        )
        transfers = TransferTracker(store, clock)
        mover = Mover(context, self.throttle)
        self.anti_entropy = AntiEntropy(context, mover, self.stable, transfers, self.throttle)
        self.slot_transfer = SlotTransfer(context, mover, transfers, self.throttle)
        self.index = QueryIndex(store, options.index_file, physical_ms=clock.physical_ms)
        query_replicas = ClusterQueryReplicas(
            context, self.stable, self.reads, self.replica, self.index
        )
        page_keys = partial(secrets.keys, "page")
        self.lists = ListCoordinator(query_replicas, clock, page_keys, lambda: self.consistency)
        self.health = Health(self.membership, self.replicas, clock, clock.now(), store)
        self.gossip = GossipLoop(context, self.stable, self.anti_entropy, self.health)
        self.upkeep = Upkeep(
            context=context,
            health=self.health,
            anti_entropy=self.anti_entropy,
            stable=self.stable,
            index=self.index,
            slot_gc=SlotGarbageCollector(context, self.gossip, options.drop_after_s),
            refreshers=[self.configuration.refresh, *([tls.refresh] if tls else [])],
        )
        self.report_builder = self._reporting(transfers)
        self.links = self._link_server(me, query_replicas)
        self.membership.listeners.append(self._entered)

    def _mesh_settings(self, me: LinkIdentity) -> MeshSettings:
        secrets, tls = self.options.secrets, self.options.tls
        return MeshSettings(
            me=me,
            token=lambda: secrets.link_tokens()[0],
            tls=lambda: tls.client if tls else None,
            hlc=self.hlc.now,
            observe=self.hlc.observe,
        )

    def _reporting(self, transfers: TransferTracker) -> ReportBuilder:
        return ReportBuilder(
            seat=self.options.seat,
            version=self.options.version,
            quota_bytes=self.options.quota_bytes,
            store=self.store,
            membership=self.membership,
            gossip=self.gossip,
            health=self.health,
            transfers=transfers,
            anti_entropy=self.anti_entropy,
            throttle=self.throttle,
            clock=self.clock,
        )

    def _link_server(self, me: LinkIdentity, query_replicas: ClusterQueryReplicas) -> LinkServer:
        return LinkServer(
            Service(
                me=me,
                tokens=self.options.secrets.link_tokens,
                hlc=self.hlc.now,
                observe=self.hlc.observe,
                mutual_tls=self.options.tls is not None,
                handlers=dict(
                    [
                        PUT.served(self.replica.put),
                        GET.served_at_once(self.replica.get),
                        TOPOLOGY.served(TopologyService(self.store, self.membership).serve),
                        GOSSIP.served_at_once(self.gossip.serve),
                        QUERY.served(query_replicas.serve),
                        *PullServer(self.store, self.replica).methods(),
                    ]
                ),
            )
        )

    async def run(self) -> None:
        """Do what a node does by itself, until cancelled."""
        if self.membership.view is not None:
            self._entered(self.membership.view)
        async with asyncio.TaskGroup() as tasks:
            rooms = (self.gossip, self.anti_entropy, self.slot_transfer, self.index, self.upkeep)
            for room in rooms:
                tasks.create_task(room.run())

    async def close(self) -> None:
        """Let go of peers and disk; what was acknowledged is durable already."""
        await self.links.close()
        await self.mesh.close()
        await self.store.close()

    # ---- Engine

    @property
    def consistency(self) -> Consistency:
        """The policy in force."""
        return self.configuration.now.consistency

    async def write(self, request: WriteRequest) -> WriteOutcome:
        """Store or delete one record on its write quorum."""
        with self._admitted():
            return await self.writes.write(request)

    async def read(self, request: ReadRequest) -> ReadOutcome:
        """Read one record."""
        with self._admitted():
            return await self.reads.read(request)

    async def list(self, request: ListRequest) -> ListOutcome:
        """Answer one page of a list."""
        with self._admitted():
            return await self.lists.list(request)

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Count a request as in flight, unless this node turns clients away."""
        refusal = self.health.refusal()
        if refusal:
            raise ProblemError("not-ready", refusal)
        self.health.in_flight += 1
        try:
            yield
        except ClockSkewError as error:
            detail = f"the session is {error.ahead_ms} ms ahead of this node's clock"
            raise ProblemError("clock-skew", detail) from error
        finally:
            self.health.in_flight -= 1

    # ---- Operations

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
        return self.report_builder.cluster(
            self.options.name, self.configuration.now, self.options.strategy, slots=slots
        )

    def report(self, *, slots: bool) -> dict[str, Any]:
        """Describe this node to the operator."""
        return self.report_builder.report(self.configuration.now, slots=slots)

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
        return self.health.in_flight

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
        used = self.report_builder.used_bytes() / self.options.quota_bytes
        self.registry.disk_used.set(used)
        self.registry.index_lag.set(self.index.lag_ms() / 1000)
        return self.registry.text()

    # ---- background

    def _entered(self, view: TopologyView) -> None:
        """A document has come into force."""
        named = view.document.members()
        self.mesh.follow(
            {number: view.document.stores[number] for number in named}, self.store_id()
        )
        self.stable.forget()
        self.anti_entropy.wake.set()
        self.registry.epoch.set(view.epoch)
