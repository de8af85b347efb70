"""One node: its parts, wired, and what runs in the background.

The same node runs alone, from a cluster file and on Kubernetes; only who brings the topology
document differs (`spine_node.__main__`).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from spine_core.records.hlc import HybridClock
from spine_core.records.ids import PartitionStrategy
from spine_node.clock import Clock
from spine_node.engine.cluster.acceptor import Acceptor
from spine_node.engine.cluster.configuration import LiveConfiguration
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.replica import GET, PUT, Replica
from spine_node.engine.cluster.replica_client import ReplicaClient
from spine_node.engine.cluster.secrets import Secrets
from spine_node.engine.cluster.stable_time import StableTimes
from spine_node.engine.cluster.timestamps import HlcAllocator
from spine_node.engine.cluster.topology_service import TOPOLOGY, TopologyService
from spine_node.engine.cluster.topology_view import Membership, TopologyView
from spine_node.engine.coordinator.coordinators import Coordinators
from spine_node.engine.coordinator.registers import CHANGE
from spine_node.engine.data_plane import DataPlane
from spine_node.engine.operations import NodeOperations
from spine_node.engine.query.list_coordinator import ListCoordinator
from spine_node.engine.query.query_replicas import QUERY, ClusterQueryReplicas
from spine_node.engine.replication.anti_entropy import AntiEntropy
from spine_node.engine.replication.mover import Mover
from spine_node.engine.replication.pull_server import PULL_LIMITS, PullLimits, PullServer
from spine_node.engine.replication.slot_transfer import SlotTransfer
from spine_node.engine.replication.throttle import Throttle
from spine_node.engine.replication.transfer_progress import TransferTracker
from spine_node.engine.upkeep.gossip import GOSSIP, GossipLoop
from spine_node.engine.upkeep.health import Health
from spine_node.engine.upkeep.reaper import Reaper
from spine_node.engine.upkeep.report import ReportBuilder
from spine_node.engine.upkeep.slot_gc import SlotGarbageCollector
from spine_node.engine.upkeep.timers import Upkeep
from spine_node.engine.watch.feed_server import FEED, FeedServer
from spine_node.engine.watch.sources import ClusterFeeds
from spine_node.engine.watch.watch import WatchParts
from spine_node.engine.watch.watches import Watches
from spine_node.in_flight import InFlight
from spine_node.links.hello import LinkIdentity
from spine_node.links.mesh import Mesh, MeshSettings
from spine_node.links.server import LinkServer, Service
from spine_node.links.tls import TlsContexts
from spine_node.metrics import Metrics
from spine_node.ports import MergePatch
from spine_node.search.index import QueryIndex
from spine_node.store import Store

PULL_SLOTS = 4  # of a change at once, until the operator says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """Settings of one node, fixed for the life of the process."""

    name: str  # of the cluster
    seat: str
    version: str
    strategy: PartitionStrategy
    pull_bytes_per_s: int
    quota_bytes: int  # of the store
    drop_after_s: float = 3600.0  # how long an unowned slot is kept
    index_file: Path  # of the query index, a cache beside the store
    secrets: Secrets
    tls: TlsContexts | None
    configuration: LiveConfiguration
    pull_limits: PullLimits = PULL_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEnvironment:
    """Store, clocks and links of a node, and what it shares with the HTTP server."""

    store: Store
    hlc: HybridClock
    clock: Clock
    merge_patch: MergePatch
    metrics: Metrics = field(default_factory=Metrics)
    in_flight: InFlight = field(default_factory=InFlight)
    refreshers: tuple[Callable[[], None], ...] = ()  # read files again that may have changed
    mesh_of: Callable[[MeshSettings, Clock], Mesh] = Mesh


class Node:
    """All parts of one node, wired. `run` until cancelled, then `close`."""

    def __init__(self, options: NodeOptions, environment: NodeEnvironment) -> None:
        store, clock = environment.store, environment.clock
        self.options, self.store, self.clock = options, store, clock
        self.configuration, self.metrics = options.configuration, environment.metrics
        secrets, tls = options.secrets, options.tls
        self.hlc = HlcAllocator(store, environment.hlc, clock)
        self.membership = Membership(store, on_adopted=self._adopted)
        me = self._identity()
        self.mesh = environment.mesh_of(self._mesh_settings(me), clock)
        self.replica = Replica(store, self.membership)
        self.replicas = ReplicaClient(self.mesh, self.replica, self.membership, store, clock)
        context = self._context()
        self.stable = StableTimes()
        self.throttle = Throttle(clock, bytes_per_s=options.pull_bytes_per_s, slots=PULL_SLOTS)
        self.coordinators = Coordinators(
            context,
            self.stable,
            lambda: self.configuration.now,
            strategy=options.strategy,
            merge_patch=environment.merge_patch,
        )
        self.reaper = Reaper(context, self.coordinators.rounds)
        transfers = TransferTracker(store, clock)
        mover = Mover(context, self.throttle)
        self.anti_entropy = AntiEntropy(context, mover, self.stable, transfers, self.throttle)
        self.slot_transfer = SlotTransfer(context, mover, transfers, self.throttle)
        self.index = QueryIndex(store, options.index_file, physical_ms=clock.physical_ms)
        query_replicas = ClusterQueryReplicas(
            context, self.stable, self.coordinators.reads, self.replica, self.index
        )
        self.lists = ListCoordinator(
            query_replicas, clock, partial(secrets.keys, "page"), lambda: self.engine.consistency
        )
        self.health = self._health(environment.in_flight)
        self.feed_server, self.watches = self._watching(context)
        self.gossip = GossipLoop(context, self.stable, self.anti_entropy, self.health)
        self.upkeep = Upkeep(
            context=context,
            health=self.health,
            stable=self.stable,
            index=self.index,
            slot_gc=SlotGarbageCollector(context, self.gossip, options.drop_after_s),
            refreshers=(
                self.configuration.refresh,
                *([tls.refresh] if tls else []),
                *environment.refreshers,
            ),
        )
        self.report_builder = self._reporting(transfers)
        self.links = self._link_server(me, query_replicas)
        self.engine = DataPlane(
            self.coordinators, self.lists, self.watches, self.health,
            lambda: self.configuration.now,
        )  # fmt: skip
        self.operations = self._operations()

    def _health(self, in_flight: InFlight) -> Health:
        return Health(
            self.membership, self.replicas, self.clock, self.clock.now(), self.store,
            lambda: self.anti_entropy.rounds > 0, in_flight,
        )  # fmt: skip

    def _context(self) -> Context:
        return Context(
            store=self.store,
            membership=self.membership,
            replicas=self.replicas,
            hlc=self.hlc,
            clock=self.clock,
            metrics=self.metrics,
        )

    def _identity(self) -> LinkIdentity:
        return LinkIdentity(
            cluster_id=lambda: self.membership.cluster_id,
            store_id=self.store.identity.store_id,
            boot=self.store.identity.boot,
            epoch=lambda: self.membership.epoch,
        )

    def _mesh_settings(self, me: LinkIdentity) -> MeshSettings:
        secrets, tls = self.options.secrets, self.options.tls
        return MeshSettings(
            me=me,
            token=lambda: secrets.link_tokens()[0],
            tls=lambda: tls.client if tls else None,
            hlc=self.hlc.now,
            observe=self.hlc.observe,
        )

    def _watching(self, context: Context) -> tuple[FeedServer, Watches]:
        server = FeedServer(self.store, self.replica, self.clock)
        watches = Watches(
            WatchParts(
                feeds=ClusterFeeds(context, self.stable, server),
                reads=self.coordinators.reads,
                clock=self.clock,
                cursor_keys=partial(self.options.secrets.keys, "cursor"),
                leaving=self.health.leaving,
            )
        )
        self.metrics.watches.set_function(lambda: watches.count)
        self.metrics.watch_lag.set_function(watches.lag_s)
        return server, watches

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

    def _operations(self) -> NodeOperations:
        return NodeOperations(
            cluster_name=self.options.name,
            strategy=self.options.strategy,
            quota_bytes=self.options.quota_bytes,
            configuration=lambda: self.configuration.now,
            health=self.health,
            membership=self.membership,
            reports=self.report_builder,
            throttle=self.throttle,
            store=self.store,
            index=self.index,
            registry=self.metrics,
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
                        CHANGE.served(self.coordinators.registers.serve),
                        TOPOLOGY.served(TopologyService(self.store, self.membership).serve),
                        GOSSIP.served_at_once(self.gossip.serve),
                        QUERY.served(query_replicas.serve),
                        *Acceptor(self.store, self.replica).methods(),
                        FEED.served(self.feed_server.serve),
                        *PullServer(self.store, self.replica, self.options.pull_limits).methods(),
                    ]
                ),
            )
        )

    async def run(self) -> None:
        """Do what a node does by itself, until cancelled."""
        if self.membership.view is not None:
            self._adopted(self.membership.view)
        async with asyncio.TaskGroup() as tasks:
            loops = (
                self.gossip,
                self.anti_entropy,
                self.slot_transfer,
                self.index,
                self.upkeep,
                self.reaper,
            )
            for loop in loops:
                tasks.create_task(loop.run())

    async def close(self) -> None:
        """Close links and disk; what was acknowledged is durable already."""
        await self.links.close()
        await self.mesh.close()
        await self.store.close()

    def _adopted(self, view: TopologyView) -> None:
        """A document has come into force."""
        named = view.document.members()
        self.mesh.follow(
            {number: view.document.stores[number] for number in named}, self.store.identity.store_id
        )
        self.stable.forget()
        self.anti_entropy.wake.set()
        self.feed_server.wake()
        self.metrics.epoch.set(view.epoch)
