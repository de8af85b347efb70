"""The gossip loop: exchanges the states of nodes with peers (protocol.md §11).

Gossip carries beats, epochs and rows of the sync matrix. It never decides ownership: a higher epoch
heard of only makes this node fetch the document, a lower one makes it send its own.
"""

import logging
import random
from collections.abc import Iterable
from typing import Any

import msgspec

from spine_core.replication.gossip import Age, GossipView, Liveness, NodeState
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import StoreNumber
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.stable_time import StableTimes
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.engine.replication.anti_entropy import AntiEntropy
from spine_node.engine.upkeep.health import Health
from spine_node.links.frames import CallHeader
from spine_node.links.mesh import CallError
from spine_node.links.methods import Method, RefusedCallError

logger = logging.getLogger("spine.engine")

GOSSIP_ROUND_S = 0.5
GOSSIP_TIMEOUT_S = 1.0


class GossipCall(msgspec.Struct, array_like=True, frozen=True):
    """The caller's own state, and how new what it knows of each store is."""

    state: NodeState
    known: dict[StoreNumber, Age]


class GossipReply(msgspec.Struct, array_like=True, frozen=True):
    """The states that are news to the caller."""

    states: list[NodeState]


GOSSIP = Method("gossip", request=GossipCall, reply=GossipReply)


class GossipLoop:
    """Keeps the gossip view of one node, from the moment a document names it."""

    def __init__(
        self, context: Context, stable: StableTimes, anti_entropy: AntiEntropy, health: Health
    ) -> None:
        self._stable, self._anti_entropy, self._health = stable, anti_entropy, health
        self._membership, self._replicas = context.membership, context.replicas
        self._clock, self._metrics = context.clock, context.metrics
        self._boot = context.store.identity.boot
        self._beat = 0
        self._known: GossipView | None = None
        seed = context.clock.entropy(8)
        self._random = random.Random(seed)  # noqa: S311 - who is asked next is no secret

    async def run(self) -> None:
        """Gossip every half second, for ever."""
        while True:
            view = self._membership.member
            if view is not None:
                await self._round(view, self._view_of(view))
            await self._clock.sleep(self._clock.jittered(GOSSIP_ROUND_S))

    def serve(self, call: GossipCall, _header: CallHeader) -> GossipReply:
        """Serve `gossip`."""
        if self._known is None:
            raise RefusedCallError(ReplicaStatus.MISDIRECTED)
        self._merge([call.state], said_by=call.state.store)
        return GossipReply(list(self._known.missing(call.known)))

    def status(self, store: StoreNumber) -> str:
        """Return how a peer is: what it says of itself while it is heard, else suspect or down."""
        known = self._known
        if known is None:
            return Liveness.DOWN
        liveness = known.liveness(store, self._now_ms())
        state = known.states.get(store)
        return state.status if liveness is Liveness.UP and state else str(liveness)

    def live(self) -> frozenset[StoreNumber]:
        """Return the peers that are heard of, without ourselves."""
        if self._known is None:
            return frozenset()
        now_ms, known = self._now_ms(), self._known
        return frozenset(s for s in known.states if known.liveness(s, now_ms) is Liveness.UP)

    def epochs(self) -> dict[StoreNumber, int]:
        """Return the epoch that each store says it has adopted, of those that are heard."""
        live = self.live()
        states = self._known.states if self._known else {}
        return {store: state.epoch for store, state in states.items() if store in live}

    def peers(self) -> dict[str, dict[str, Any]]:
        """Return what the report says about each peer."""
        known, view = self._known, self._membership.view
        if known is None or view is None:
            return {}
        now_ms = self._now_ms()
        return {
            str(store): {
                "state": str(known.liveness(store, now_ms)),
                "boot": max(1, known.boots.get(store, 1)),
                "silent_s": round(known.silent_ms(store, now_ms) / 1000, 1),
            }
            for store in sorted(view.document.members())
            if store != view.number
        }

    def _view_of(self, view: MemberView) -> GossipView:
        """Announce our present state, and return all that is known."""
        self._beat += 1
        own = NodeState(
            store=view.number,
            boot=self._boot,
            beat=self._beat,
            epoch=view.epoch,
            status=self._health.status(),
            in_flight=self._health.in_flight.count,
            row=self._anti_entropy.row(),
        )
        if self._known is None or view.number not in self._known.states:
            self._known = GossipView(own, started_ms=self._now_ms())
        else:
            self._known.announce(own)
            self._known.retain(view.document.members())
        return self._known

    async def _round(self, view: MemberView, known: GossipView) -> None:
        own = known.states[view.number]
        partners = known.partners(view.document.members(), self._now_ms(), self._random)
        for store in partners:
            call, began = GossipCall(own, known.ages()), self._clock.now()
            try:
                reply = await self._replicas.ask(view, store, GOSSIP, call, GOSSIP_TIMEOUT_S)
            except CallError as error:
                if error.status == ReplicaStatus.MISDIRECTED:  # it waits for its first document
                    self._replicas.push_document(store)
                continue
            # what reads know of a peer that was slow once would never change: they ask others
            self._replicas.note(store, self._clock.now() - began)
            self._merge(reply.states, said_by=store)

    def _merge(self, states: Iterable[NodeState], *, said_by: int) -> None:
        """Merge states of peers; raise the alarm of a rolled-back disk.

        Only what a store says of itself tells about its disk: others repeat old news.
        """
        assert self._known is not None
        for state in states:
            own = state.store == said_by
            if own and self._known.is_rolled_back(state.store, state.boot):
                self._metrics.boot_rollbacks.inc()
                logger.error("peer_rolled_back", extra={"store": state.store, "boot": state.boot})
        for state in self._known.merge(states, self._now_ms()):
            self._stable.put_row(state.store, state.epoch, state.row)
            self._compare_epochs(state)

    def _compare_epochs(self, state: NodeState) -> None:
        if state.epoch > self._membership.epoch:
            self._replicas.fetch_document(state.store)
        elif state.epoch < self._membership.epoch:
            self._replicas.push_document(state.store)

    def _now_ms(self) -> int:
        return round(self._clock.now() * 1000)
