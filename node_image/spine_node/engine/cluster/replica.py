"""This node as a replica: serves puts and reads of its own store, to peers and to itself.

Bodies (protocol.md §16):
`put` [key, slot, record, is write-back] → newer version held, with `superseded`; else nothing.
`get` [slot, [key, …]] → [[record or nil, …], floor].
A request of a newer epoch is answered `need-document`, one of an older epoch `stale-epoch` with our
document (R1); for puts the writer decides that, in the transaction that would apply them.
"""

import asyncio

from spine_core.records.encoding import version_in
from spine_core.replication.put_rules import EpochVerdict, judge_epoch
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc
from spine_node.engine.cluster.topology_view import Membership
from spine_node.links.frames import EMPTY, Request, pack, unpack
from spine_node.links.mesh import Method
from spine_node.links.server import Outcome
from spine_node.store import StorageError, Store
from spine_node.store.operations import Put, PutReply

GET = Method("get", tuple[list[bytes | None], Hlc])


class Replica:
    """The `put`, `get` and `read` of one store."""

    def __init__(self, store: Store, membership: Membership) -> None:
        self._store, self._membership = store, membership

    def put_local(
        self, key: bytes, slot: int, raw: bytes, *, epoch: int, write_back: bool
    ) -> asyncio.Future[PutReply]:
        """Queue a put of ours; the future ends when it is durable or refused."""
        return self._store.submit(
            Put(key, slot, raw, version_in(raw), epoch, deadline_rule=not write_back)
        )

    async def put(self, request: Request) -> Outcome:
        """Serve `put`."""
        key, slot, raw, write_back = unpack(request.body)
        try:
            waiting = self.put_local(key, slot, raw, epoch=request.epoch, write_back=write_back)
        except StorageError:  # too many wait, or the disk failed: nothing was queued
            return ReplicaStatus.BUSY, EMPTY
        reply = await waiting
        if reply.status == ReplicaStatus.STALE_EPOCH.value:
            return self.stale()
        return reply.status, pack(reply.version) if reply.version else EMPTY

    def get(self, request: Request) -> Outcome:
        """Serve `get`: no await between the epoch check and the read (R1)."""
        refusal = self.refuse(request.epoch)
        if refusal:
            return refusal
        slot, keys = unpack(request.body)
        return ReplicaStatus.OK, pack(
            [[self._store.get(key) for key in keys], self._store.floor(slot)]
        )

    def refuse(self, epoch: int) -> Outcome | None:
        """Refuse a request of another epoch, or any while no document names us (R1, R9)."""
        view = self._membership.view
        if view is None or view.number is None:
            return ReplicaStatus.MISDIRECTED, EMPTY
        verdict = judge_epoch(epoch, view.epoch)
        if verdict is EpochVerdict.OK:
            return None
        return (
            self.stale()
            if verdict is EpochVerdict.STALE_EPOCH
            else (ReplicaStatus.NEED_DOCUMENT, EMPTY)
        )

    def stale(self) -> Outcome:
        """Answer `stale-epoch`, with the document that the caller lacks."""
        return ReplicaStatus.STALE_EPOCH, pack(self._store.document)
