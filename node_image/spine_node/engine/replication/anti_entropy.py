"""Anti-entropy: recurring pulls of what peers hold newer (protocol.md §9.1).

A pull from a peer that ends under one epoch moves our row of the sync matrix to the time before it
began: all that the peer had acknowledged by then is here. One that is cut short moves nothing.
"""

import asyncio
import logging
from collections.abc import Mapping

from spine_core.records.versions import hlc_from_ms
from spine_core.scalars import Hlc, Slot, StoreNumber
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.stable_time import StableTimes
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.engine.replication.mover import CALL_TIMEOUT_S, Mover, PullCutError, PullReason
from spine_node.engine.replication.pull_server import ROOTS, SlotsCall
from spine_node.engine.replication.throttle import Throttle
from spine_node.engine.replication.transfer_progress import TransferTracker
from spine_node.links.mesh import CallError
from spine_node.store import StorageError

logger = logging.getLogger("spine.engine")

PULL_ROUND_S = 10.0
ROUND_RETRY_S = 1.0  # after a round in which a peer was out of reach
YOUNG_MS = 2000  # a version younger than this is still on its way by itself
SLOTS_AT_ONCE = 256  # whose buckets and keys one call asks for


class AntiEntropy:
    """The recurring pulls of one node."""

    def __init__(
        self,
        context: Context,
        mover: Mover,
        stable: StableTimes,
        transfers: TransferTracker,
        throttle: Throttle,
    ) -> None:
        self._mover, self._stable = mover, stable
        self._transfers, self._throttle = transfers, throttle
        self._store, self._membership = context.store, context.membership
        self._replicas, self._hlc = context.replicas, context.hlc
        self._clock, self._metrics = context.clock, context.metrics
        self._done: dict[
            StoreNumber, Hlc
        ] = {}  # source → HLC before its last complete pull, this epoch
        self._epoch = 0
        self.wake = asyncio.Event()  # set: begin a round now
        self.rounds = 0  # complete rounds since start, for readiness

    async def run(self) -> None:
        """Pull from every peer with shared slots, at once and then every round."""
        while True:
            view = self._membership.member
            complete = view is not None and await self._round(view)
            pause_s = PULL_ROUND_S if complete else ROUND_RETRY_S
            await self._clock.wait(self.wake, self._clock.jittered(pause_s))

    async def _round(self, view: MemberView) -> bool:
        self._begin_epoch(view)
        began = self._hlc.tick()
        left_out = self._left_to_the_transfer(view)
        shared = self._shared(view)
        complete = [await self._pull(view, peer, slots, left_out) for peer, slots in shared.items()]
        self._note(view, view.number, began)  # alone, our own clock is the whole matrix
        self.rounds += all(complete) and not left_out
        return all(complete)

    def row(self) -> Mapping[StoreNumber, Hlc]:
        """Return our row of the sync matrix for the epoch in force."""
        return self._done if self._epoch == self._membership.epoch else {}

    def ages_s(self) -> dict[StoreNumber, float]:
        """Return the seconds since the start of the last complete pull, by source."""
        now = self._hlc.now()
        return {source: ((now - at) >> 16) / 1000 for source, at in self.row().items()}

    def _begin_epoch(self, view: MemberView) -> None:
        if view.epoch != self._epoch:
            self._epoch, self._done = view.epoch, {}

    def _shared(self, view: MemberView) -> dict[StoreNumber, list[Slot]]:
        """Return peer → the slots whose write set holds both of us, ascending."""
        shared: dict[StoreNumber, list[Slot]] = {}
        for slot in sorted(view.placement.slots_of(view.number)):
            for store in view.placement.write_set(slot):
                if store != view.number:
                    shared.setdefault(store, []).append(slot)
        return shared

    def _left_to_the_transfer(self, view: MemberView) -> frozenset[Slot]:
        """Return gained slots that `SlotTransfer` will pull as a whole; none while it is suspended."""
        progress = self._transfers.follow(view)
        return frozenset() if progress is None or self._throttle.suspended else progress.pending

    async def _pull(
        self, view: MemberView, peer: StoreNumber, shared: list[Slot], left_out: frozenset[Slot]
    ) -> bool:
        began = self._hlc.tick()
        slots = [slot for slot in shared if slot not in left_out]
        try:
            differing, unlearned = await self._differing(view, peer, slots)
            for at in range(0, len(differing), SLOTS_AT_ONCE):
                before = Hlc(self._hlc.now() - hlc_from_ms(YOUNG_MS))
                chunk = differing[at : at + SLOTS_AT_ONCE]
                await self._mover.pull(view, peer, chunk, before, reason=PullReason.ANTI_ENTROPY)
        except (CallError, PullCutError, StorageError) as error:
            logger.info("pull_cut", extra={"peer": peer, "why": str(error)})
            return False
        self._metrics.digest_mismatches.set(len(differing))
        if len(slots) == len(shared):
            # what is not learned there did not come along, and may yet be chosen
            self._note(view, peer, began if unlearned is None else min(began, Hlc(unlearned - 1)))
        return True

    def _note(self, view: MemberView, source: StoreNumber, began: Hlc) -> None:
        """Move our row: everything that `source` had acknowledged before `began` is here."""
        if view.epoch != self._membership.epoch or view.epoch != self._epoch:
            return
        self._done = {**self._done, source: began}
        self._stable.put_row(view.number, view.epoch, self._done)

    async def _differing(
        self, view: MemberView, peer: StoreNumber, slots: list[Slot]
    ) -> tuple[list[Slot], Hlc | None]:
        """Return the slots that differ, and the lowest time of what the peer has still to learn."""
        call = SlotsCall(slots)
        reply = await self._replicas.ask(view, peer, ROOTS, call, CALL_TIMEOUT_S)
        if len(reply.roots) != len(slots):
            raise PullCutError("roots of other slots than were asked for")
        pairs = zip(slots, reply.roots, strict=True)
        differing = [slot for slot, theirs in pairs if theirs.root != self._store.root(slot)]
        return differing, reply.unlearned
