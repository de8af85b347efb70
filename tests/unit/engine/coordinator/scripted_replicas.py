"""Replicas whose answers a test states, and a coordinator's context that reaches them alone."""

from collections.abc import Iterable

import msgspec

from spine_core.records.encoding import Record, decode, encode, join_body
from spine_core.records.hlc import HybridClock
from spine_core.records.versions import ABSENT, Version
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import HLC_ZERO, Hlc, StoreNumber
from spine_node.clock import Clock
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.replica import GetCall, PutCall
from spine_node.engine.cluster.replica_client import Copy, OnCopy, OnPut, ReplicaClient
from spine_node.engine.cluster.timestamps import HlcAllocator
from spine_node.engine.cluster.topology_view import Membership, MemberView
from spine_node.links.frames import EMPTY
from spine_node.links.mesh import CallError
from spine_node.metrics import Metrics
from spine_node.server_fields import ServerFields, pack_server_fields
from spine_node.store import Store, checksum, split_key
from unit.engine.harness import document_for

NUMBERS = (StoreNumber(1), StoreNumber(2), StoreNumber(3))


class ScriptedReplicas(ReplicaClient):
    """Three stores, of which 1 is this node's own; store → its copy, or why it does not answer."""

    def __init__(self) -> None:
        self.holds: dict[StoreNumber, Copy | ReplicaStatus | None] = dict.fromkeys(NUMBERS)
        self.floors: dict[StoreNumber, Hlc] = {}
        self.put_status = ReplicaStatus.OK
        self.asked: list[StoreNumber] = []
        self._latency_s = {}
        self.written_back: list[StoreNumber] = []

    def hold(self, *copies: Copy | ReplicaStatus | None) -> None:
        """State what stores 1, 2 and 3 answer."""
        self.holds = dict(zip(NUMBERS, copies, strict=True))

    def order(self, stores: Iterable[StoreNumber], mine: StoreNumber | None) -> list[StoreNumber]:
        assert mine in NUMBERS
        return sorted(stores)

    def own(self, view: MemberView, key: bytes) -> Copy | None:
        _check(view, split_key(key)[0], key, 1.0)
        held = self.holds[view.number]
        if isinstance(held, ReplicaStatus):
            raise CallError(view.number, held, EMPTY)
        return held

    def own_with_register(self, view: MemberView, key: bytes) -> tuple[Copy | None, None]:
        return self.own(view, key), None

    async def get(
        self, view: MemberView, store: StoreNumber, slot: int, key: bytes, left_s: float
    ) -> tuple[Copy | None, Hlc]:
        _check(view, slot, key, left_s)
        self.asked.append(store)
        held = self.holds[store]
        if isinstance(held, ReplicaStatus):
            raise CallError(store, held, EMPTY)
        return held, self.floors.get(store, HLC_ZERO)

    def copies(
        self, view: MemberView, peers: Iterable[StoreNumber], call: GetCall, left_s: float,
        on_copy: OnCopy,
    ) -> None:  # fmt: skip
        _check(view, call.slot, call.key, left_s)
        for store in peers:
            self.asked.append(store)
            held = self.holds[store]
            if isinstance(held, ReplicaStatus):
                on_copy(store, held, ABSENT, None, None)
                continue
            version = held.version if held else ABSENT
            newer = held if version > call.known else None
            on_copy(store, ReplicaStatus.OK, version, newer, None)

    def put(
        self, view: MemberView, stores: Iterable[StoreNumber], put: PutCall, left_s: float,
        on_put: OnPut,
    ) -> None:  # fmt: skip
        for record in put.records:
            _check(view, record.slot, record.key, left_s)
        for store in stores:
            if self.put_status is ReplicaStatus.OK:
                self.written_back.append(store)
            on_put(store, self.put_status, ())


def _check(view: MemberView, slot: int, key: bytes, left_s: float) -> None:
    """Fail where a call makes no sense."""
    assert view.number == NUMBERS[0]
    assert split_key(key)[0] == slot
    assert left_s > 0


def copy_of(version: Version, *, tags: tuple[str, ...] = ()) -> Copy:
    """Return a copy of a memory with these tags."""
    server = pack_server_fields(ServerFields(created_at=1, writer="tester"))
    body = join_body(server, msgspec.json.encode({"content": "x", "tags": tags}))
    raw = encode(Record(version=version, op=1, body=body), checksum)
    return Copy(raw, decode(raw, checksum))


async def context_of(
    store: Store, hlc: HybridClock, clock: Clock, replicas: ReplicaClient
) -> Context:
    """Return the context of the first of three members."""
    membership = Membership(store)
    await membership.adopt(document_for(store).canonical())
    return Context(
        store=store,
        membership=membership,
        replicas=replicas,
        hlc=HlcAllocator(store, hlc, clock),
        clock=clock,
        metrics=Metrics(),
    )
