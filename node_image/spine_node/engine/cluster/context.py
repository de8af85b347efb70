"""The parts that every module of the engine above `cluster` is given."""

from dataclasses import dataclass

from spine_node.clock import Clock
from spine_node.engine.cluster.replica_client import ReplicaClient
from spine_node.engine.cluster.timestamps import HlcAllocator
from spine_node.engine.cluster.topology_view import Membership
from spine_node.metrics import Metrics
from spine_node.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The store, the cluster as we know it, whom we can call, and the clocks."""

    store: Store
    membership: Membership
    replicas: ReplicaClient
    hlc: HlcAllocator
    clock: Clock
    metrics: Metrics
