"""Topology documents between nodes: gives ours to a peer, adopts the one that a peer brings."""

import msgspec

from spine_core.replication.replica_status import ReplicaStatus
from spine_node.engine.cluster.topology_view import Membership
from spine_node.links.frames import CallHeader
from spine_node.links.methods import Method, RefusedCallError
from spine_node.store import Store


class TopologyCall(msgspec.Struct, array_like=True, frozen=True):
    """A document to adopt, as canonical JSON; None only asks for ours."""

    document: bytes | None


class TopologyReply(msgspec.Struct, array_like=True, frozen=True):
    """The document in force, after the one that was brought."""

    document: bytes


TOPOLOGY = Method("topology", request=TopologyCall, reply=TopologyReply)


class TopologyService:
    """The method `topology` of one node."""

    def __init__(self, store: Store, membership: Membership) -> None:
        self._store, self._membership = store, membership

    async def serve(self, call: TopologyCall, _header: CallHeader) -> TopologyReply:
        """Adopt the document durably, unless it is older than ours; answer ours."""
        if call.document is not None:
            await self._membership.adopt(call.document)
        if self._store.document is None:
            raise RefusedCallError(ReplicaStatus.NEED_DOCUMENT)
        return TopologyReply(self._store.document)
