"""A slot counts as pulled only by a durable mark of the very change that runs."""

import msgspec

from spine_core.scalars import StoreNumber
from spine_node.engine.cluster.topology_view import Membership
from spine_node.engine.replication.transfer_progress import TransferTracker
from spine_node.store import Store
from spine_node.store.operations import FinishPull
from unit.engine.harness import OTHER, ManualClock, document_for, joining_store


async def test_a_checkpoint_of_another_change_counts_for_nothing(
    store: Store, clock: ManualClock
) -> None:
    membership = Membership(store)
    prepare = joining_store(document_for(OTHER), store.identity.store_id)
    await membership.adopt(prepare.canonical())
    view = membership.member_view()
    gained = sorted(view.placement.gained()[StoreNumber(4)])
    assert prepare.change is not None
    checkpoints = {gained[0]: prepare.change.id, gained[1]: "c-99"}
    for slot, change in checkpoints.items():
        await store.submit(
            FinishPull(
                slot, view.epoch, checkpoint=msgspec.msgpack.encode((change, (1,), bytes(16)))
            )
        )
    progress = TransferTracker(store, clock).follow(view)
    assert progress is not None
    assert progress.pulled == {gained[0]}
    assert progress.pending == frozenset(gained[1:])


async def test_without_a_part_in_a_change_there_is_no_progress(
    store: Store, clock: ManualClock
) -> None:
    membership = Membership(store)
    await membership.adopt(document_for(store).canonical())
    view = membership.member_view()
    assert TransferTracker(store, clock).follow(view) is None
    assert TransferTracker(store, clock).follow(None) is None
