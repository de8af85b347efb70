"""The cluster as the coordinator of lists sees it, and the method `query` that it calls on others."""

from collections.abc import Sequence

from spine_core.errors import ProblemError
from spine_core.records.encoding import Record
from spine_core.scalars import Hlc, StoreNumber
from spine_core.topology.placement import Placement
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.replica import Replica
from spine_node.engine.cluster.stable_time import StableTimes
from spine_node.engine.coordinator.read import ReadCoordinator
from spine_node.links.frames import CallHeader
from spine_node.links.mesh import CallError
from spine_node.links.methods import Method
from spine_node.search.index import QueryIndex
from spine_node.search.messages import QueryCall, QueryPage

QUERY = Method("query", request=QueryCall, reply=QueryPage)


class ClusterQueryReplicas:
    """`QueryReplicas` over links, our own index among them."""

    def __init__(
        self, context: Context, stable: StableTimes, reads: ReadCoordinator, replica: Replica,
        index: QueryIndex,
    ) -> None:  # fmt: skip
        self._membership, self._replicas = context.membership, context.replicas
        self._hlc, self._clock = context.hlc, context.clock
        self._stable, self._reads, self._replica = stable, reads, replica
        self._index = index

    def placement(self) -> Placement:
        """Return the placement in force."""
        return self._membership.member_view().placement

    def live(self) -> Sequence[StoreNumber]:
        """Return our own store, then those whose link is up, the quickest first."""
        view = self._membership.member_view()
        up = self._replicas.up() | {view.number}
        return self._replicas.order((n for n in view.document.members() if n in up), view.number)

    def stable(self) -> Hlc:
        """Return the lowest stable time of all slots."""
        return self._stable.lowest(self._membership.member_view())

    def observe(self, hlc: Hlc) -> None:
        """Move our clock to at least the time that a session has seen."""
        self._hlc.observe_session(hlc)

    async def query(
        self, placement: Placement, store: StoreNumber, call: QueryCall, deadline: float
    ) -> QueryPage | None:
        """Ask a store's index; None without an answer under this epoch."""
        view = self._membership.member_view()
        if view.placement is not placement:
            return None
        try:
            if store == view.number:
                page = await self._index.answer(call, deadline)
                return page if view is self._membership.view else None
            left_s = deadline - self._clock.now()
            return await self._replicas.ask(view, store, QUERY, call, left_s)
        except (CallError, ProblemError):
            return None

    async def quorum_read(self, namespace: str, memory_id: str, deadline: float) -> Record | None:
        """Return the latest acknowledged version of a record."""
        return await self._reads.quorum(namespace, memory_id, deadline)

    async def serve(self, call: QueryCall, header: CallHeader) -> QueryPage:
        """Serve `query`.

        The epoch is checked before the index is brought to the feed's head, and again behind the
        page: an adoption in between may have dropped the slots that it was gathered from.
        """
        self._replica.check_epoch(header.epoch)
        page = await self._index.answer(call, self._clock.now() + header.left_ms / 1000)
        self._replica.check_epoch(header.epoch)
        return page
