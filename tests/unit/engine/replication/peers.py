"""Two real stores whose nodes can call each other without a network: one pulls, one is the source."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spine_core.records.hlc import HybridClock
from spine_core.records.versions import Version
from spine_core.replication.put_rules import PutKind
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import HLC_ZERO, StoreNumber
from spine_core.topology.document import Document
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.replica import Replica
from spine_node.engine.cluster.replica_client import ReplicaClient
from spine_node.engine.cluster.timestamps import HlcAllocator
from spine_node.engine.cluster.topology_view import Membership
from spine_node.engine.replication.mover import Mover
from spine_node.engine.replication.pull_server import PULL_LIMITS, PullLimits, PullServer
from spine_node.engine.replication.throttle import Throttle
from spine_node.links.frames import EMPTY, Body, CallFrame, CallHeader
from spine_node.links.hello import LinkIdentity
from spine_node.links.mesh import Mesh, MeshSettings
from spine_node.links.methods import Handler, Method
from spine_node.links.peer import OnReply
from spine_node.links.server import Calls, Service
from spine_node.metrics import Metrics
from spine_node.store import Store
from unit.engine.harness import ManualClock, document_for
from unit.store.harness import put

NOBODY = LinkIdentity(cluster_id=lambda: None, store_id="", boot=1, epoch=lambda: 0)


def service_of(handlers: dict[str, Handler]) -> Service:
    return Service(
        me=NOBODY,
        tokens=lambda: (),
        handlers=handlers,
        hlc=lambda: HLC_ZERO,
        observe=lambda _: None,
        mutual_tls=False,
    )


class LocalMesh(Mesh):
    """Links of one process: a call is served at once by the handlers of the store called."""

    def __init__(self, clock: ManualClock) -> None:
        settings = MeshSettings(
            me=NOBODY,
            token=lambda: "",
            tls=lambda: None,
            hlc=lambda: HLC_ZERO,
            observe=lambda _: None,
        )
        super().__init__(settings, clock)
        self.handlers: dict[StoreNumber, dict[str, Handler]] = {}
        self.called: list[str] = []  # methods, in order

    def call(
        self, store: StoreNumber, method: Method[Any, Any], epoch: int, body: Body, left_s: float,
        on_reply: OnReply,
    ) -> None:  # fmt: skip
        self.called.append(method.name)
        if store not in self.handlers:
            on_reply(ReplicaStatus.UNREACHABLE, EMPTY)
            return
        calls = Calls(
            service_of(self.handlers[store]),
            lambda reply: on_reply(ReplicaStatus(reply.status), reply.body),
        )
        header = CallHeader(method.name, epoch, HLC_ZERO, round(left_s * 1000))
        calls.start(CallFrame(header, 1, [body]))

    def up(self) -> frozenset[StoreNumber]:
        return frozenset(self.handlers)

    def is_up(self, store: StoreNumber) -> bool:
        return store in self.handlers


@dataclass(slots=True)
class Puller:
    """The node that pulls."""

    context: Context
    mesh: LocalMesh
    mover: Mover
    throttle: Throttle


async def puller_of(store: Store, document: Document, clock: ManualClock) -> Puller:
    """Return a node that knows a document and reaches nobody yet."""
    membership = Membership(store)
    await membership.adopt(document.canonical())
    mesh = LocalMesh(clock)
    context = Context(
        store=store,
        membership=membership,
        replicas=ReplicaClient(mesh, Replica(store, membership), membership, store, clock),
        hlc=HlcAllocator(store, HybridClock(store.hlc_high_water), clock),
        clock=clock,
        metrics=Metrics(),
    )
    throttle = Throttle(clock, bytes_per_s=1 << 30, slots=4)
    return Puller(context, mesh, Mover(context, throttle), throttle)


async def serve_pulls(
    puller: Puller,
    source: Store,
    document: Document,
    numbers: Iterable[int],
    limits: PullLimits = PULL_LIMITS,
) -> dict[str, Handler]:
    """Let a store answer under some numbers; return its handlers, which a test may change."""
    membership = Membership(source)
    await membership.adopt(document.canonical())
    served = dict(PullServer(source, Replica(source, membership), limits).methods())
    for number in numbers:
        puller.mesh.handlers[StoreNumber(number)] = served
    return served


def document_of(first: Store, *others: Store) -> Document:
    """Return epoch 1 of three seats with these stores, numbered from 1."""
    document = document_for(first)
    stores = dict(document.stores)
    for number, store in enumerate(others, 2):
        of_it = StoreNumber(number)
        stores[of_it] = replace(stores[of_it], id=store.identity.store_id)
    return replace(document, stores=stores)


async def give(
    store: Store, slots: Iterable[int], names: Sequence[str], version: Version, *, epoch: int
) -> None:
    """Write records of these names into each of some slots."""
    puts = (
        put(slot, version, name, epoch=epoch, kind=PutKind.WRITE_BACK)
        for slot in slots
        for name in names
    )
    await asyncio.gather(*map(store.submit, puts))
