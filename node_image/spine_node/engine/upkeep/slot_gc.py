"""Garbage collection of slots that a change has given to other stores (protocol.md §4.3 R8).

An unowned slot goes only when the change is over and every member has adopted its end, after a while, and
after all replicas of the slot have the same digest: then nobody can need our copy. It is a local act,
without tombstones. A store that no document names keeps everything: its disk is the operator's.
"""

import logging

from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import Phase
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.engine.replication.mover import CALL_TIMEOUT_S
from spine_node.engine.replication.pull_server import ROOTS, SlotsCall
from spine_node.engine.upkeep.gossip import GossipLoop
from spine_node.links.mesh import CallError

logger = logging.getLogger("spine.engine")


class SlotGarbageCollector:
    """Removes unowned slots, `drop_after_s` after the epoch that took them came into force."""

    def __init__(self, context: Context, gossiping: GossipLoop, drop_after_s: float) -> None:
        self._store, self._membership = context.store, context.membership
        self._replicas, self._clock = context.replicas, context.clock
        self._gossiping, self.drop_after_s = gossiping, drop_after_s
        self._epoch, self._since = 0, 0.0

    async def run_once(self) -> int:
        """Drop what may go; return how many slots went."""
        view = self._membership.member
        if view is None or not self._settled(view):
            return 0
        unowned = [
            slot for slot in self._held(view) if view.number not in view.placement.current(slot)
        ]
        going = await self._agreed(view, unowned)
        await self._store.drop(going, view.epoch)
        if going:
            logger.info("slots_dropped", extra={"slots": len(going), "epoch": view.epoch})
        return len(going)

    def _settled(self, view: MemberView) -> bool:
        """Whether no change runs, all members are in this epoch, and it is old enough."""
        if view.epoch != self._epoch:
            self._epoch, self._since = view.epoch, self._clock.now()
        epochs = self._gossiping.epochs()
        others = view.document.members() - {view.number}
        return (
            view.document.phase is Phase.STABLE
            and all(epochs.get(store) == view.epoch for store in others)
            and self._clock.now() - self._since >= self.drop_after_s
        )

    def _held(self, view: MemberView) -> list[Slot]:
        return [slot for slot in view.placement.slots if self._store.slot_stats(slot)[0]]

    async def _agreed(self, view: MemberView, slots: list[Slot]) -> list[Slot]:
        """Return the slots of which all replicas say the same digest."""
        roots: dict[Slot, set[bytes]] = {slot: set() for slot in slots}
        by_store: dict[StoreNumber, list[Slot]] = {}
        for slot in slots:
            for store in view.placement.current(slot):
                by_store.setdefault(store, []).append(slot)
        for store, asked in by_store.items():
            try:
                call = SlotsCall(asked)
                reply = await self._replicas.ask(view, store, ROOTS, call, CALL_TIMEOUT_S)
            except CallError:
                return []
            if len(reply.roots) != len(asked):
                return []
            for slot, theirs in zip(asked, reply.roots, strict=True):
                roots[slot].add(theirs.root)
        return [slot for slot, seen in roots.items() if len(seen) == 1]
