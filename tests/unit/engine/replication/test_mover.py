"""What is pulled is merged whole, with all that belongs to it, or not at all."""

from typing import Any, cast

import pytest

from spine_core.records.hlc import HybridClock
from spine_core.records.versions import hlc_from_ms, make_version
from spine_core.scalars import Origin
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.replica import Replica
from spine_node.engine.cluster.replica_client import ReplicaClient
from spine_node.engine.cluster.timestamps import HlcAllocator
from spine_node.engine.cluster.topology_view import Membership, MemberView
from spine_node.engine.replication.mover import Mover, PullCutError, PullReason
from spine_node.engine.replication.throttle import Throttle
from spine_node.links.mesh import Mesh
from spine_node.metrics import Metrics
from spine_node.store import Store
from spine_node.store.operations import StoredEntry
from unit.engine.rig import NOW_MS, ManualClock, document_for
from unit.store.harness import key, record

OLD = make_version(hlc_from_ms(NOW_MS), Origin(1))


async def mover_of(store: Store, clock: ManualClock) -> tuple[Mover, MemberView]:
    """Return the mover of a member whose peers are out of reach."""
    membership = Membership(store)
    await membership.adopt(document_for(store).canonical())
    view = membership.member_view()
    nowhere: Any = None
    context = Context(
        store=store,
        membership=membership,
        replicas=ReplicaClient(
            cast("Mesh", nowhere), Replica(store, membership), membership, store, clock
        ),
        hlc=HlcAllocator(store, HybridClock(store.hlc_high_water), clock),
        clock=clock,
        metrics=Metrics(),
    )
    return Mover(context, Throttle(clock, bytes_per_s=1 << 30, slots=4)), view


async def test_an_entry_with_acceptor_state_is_not_taken_without_it(
    store: Store, clock: ManualClock
) -> None:
    mover, view = await mover_of(store, clock)
    slot = min(view.placement.slots_of(view.number))
    alone = StoredEntry(key(slot, "alone"), record(OLD))
    registered = StoredEntry(key(slot, "registered"), record(OLD), b"promised")
    with pytest.raises(PullCutError):
        await mover.merge(view, [alone, registered], reason=PullReason.CHANGE)
    assert store.slot_stats(slot) == (0, 0)
    assert await mover.merge(view, [alone], reason=PullReason.CHANGE) == 1
    assert store.get(alone.key) == alone.record
