"""The stores of the cluster as a watch reads them: which to follow, and the link method `feed`."""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc, StoreNumber
from spine_core.topology.placement import Placement
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.stable_time import StableTimes
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.engine.query.coverage import Coverage, slots_read_from
from spine_node.engine.watch.feed_server import FEED, FeedCall, FeedReply, FeedServer
from spine_node.links.mesh import CallError
from spine_node.links.methods import RefusedCallError

_EPOCHS_DIFFER = (ReplicaStatus.STALE_EPOCH, ReplicaStatus.NEED_DOCUMENT)
ANSWER_S = 2.0  # beyond what a call waits for news; then its store counts as lost


class Unanswered(StrEnum):
    """Why there is no answer."""

    LOST = "lost"
    OTHER_EPOCH = "other-epoch"  # one of us adopts a document at this moment


class Feeds(Protocol):
    """What a watch needs of the cluster."""

    def view(self) -> MemberView:
        """Return the topology in force.

        Raises:
            ProblemError: `not-ready`, this node serves no data.
        """

    def is_current(self, view: MemberView) -> bool:
        """Return whether a topology is still in force."""

    def stable(self, view: MemberView) -> Hlc:
        """Return the lowest stable time of all slots."""

    def choose(
        self,
        view: MemberView,
        preferred: Sequence[StoreNumber],
        avoided: Collection[StoreNumber],
    ) -> list[StoreNumber]:
        """Return the stores to follow, in the order in which they get their slots."""

    async def read(
        self, view: MemberView, store: StoreNumber, call: FeedCall
    ) -> FeedReply | Unanswered:
        """Read a store's feed under the epoch of a view."""


class ClusterFeeds:
    """`Feeds` over links, our own among them."""

    def __init__(self, context: Context, stable: StableTimes, server: FeedServer) -> None:
        self._membership, self._replicas = context.membership, context.replicas
        self._stable, self._server = stable, server

    def view(self) -> MemberView:
        """Return the topology in force."""
        return self._membership.member_view()

    def is_current(self, view: MemberView) -> bool:
        """Return whether a topology is still in force."""
        return self._membership.view is view

    def stable(self, view: MemberView) -> Hlc:
        """Return the lowest stable time of all slots."""
        return self._stable.lowest(view)

    def choose(
        self,
        view: MemberView,
        preferred: Sequence[StoreNumber],
        avoided: Collection[StoreNumber],
    ) -> list[StoreNumber]:
        """Return the stores to follow, in the order in which they get their slots.

        All of `preferred` if they cover every slot; else the fewest that do, ours first.
        """
        up = (self._replicas.up() | {view.number}) - set(avoided)
        members = [store for store in view.document.members() if store in up]
        held, wanted = slots_read_from(view.placement), all_slots(view.placement)
        if preferred and set(preferred) <= set(members) and not wanted & ~_union(held, preferred):
            return list(preferred)
        order = self._replicas.order(members, view.number)
        return list(Coverage(held, wanted, 1).next_calls(order))

    async def read(
        self, view: MemberView, store: StoreNumber, call: FeedCall
    ) -> FeedReply | Unanswered:
        """Read a store's feed under the epoch of a view."""
        try:
            if store == view.number:
                return await self._server.read(call, view.epoch)
            left_s = call.wait_ms / 1000 + ANSWER_S
            return await self._replicas.ask(view, store, FEED, call, left_s)
        except (CallError, RefusedCallError) as error:
            return Unanswered.OTHER_EPOCH if error.status in _EPOCHS_DIFFER else Unanswered.LOST


def all_slots(placement: Placement) -> int:
    """Return every slot, as a bitmap."""
    return (1 << len(placement.slots)) - 1


def _union(held: Mapping[StoreNumber, int], stores: Sequence[StoreNumber]) -> int:
    union = 0
    for store in stores:
        union |= held.get(store, 0)
    return union
