"""This node as a replica: serves puts and reads of its own store, to peers and to itself.

Epoch equality (R1): a request of a newer epoch is answered `need-document`, one of an older epoch
`stale-epoch` with our document. For puts the writer decides that, in the transaction that would
apply them; for reads no `await` stands between the check and the read.
"""

import asyncio

import msgspec

from spine_core.records.encoding import is_whole, version_in
from spine_core.records.versions import ABSENT, Version
from spine_core.replication.put_rules import EpochVerdict, PutKind, judge_epoch
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc, Slot
from spine_node.engine.cluster.topology_view import Membership
from spine_node.links.frames import Body, CallHeader, encoder
from spine_node.links.methods import Method, RefusedCallError
from spine_node.store import StorageError, Store, checksum
from spine_node.store.operations import Put, PutRecord, PutReply


class PutCall(msgspec.Struct, array_like=True, frozen=True):
    """Records for one replica, each put by itself."""

    records: list[PutRecord]
    kind: PutKind


class GetCall(msgspec.Struct, array_like=True, frozen=True):
    """One key to read; the caller wants no copy that is not newer than the version it knows."""

    slot: Slot
    key: bytes
    known: Version = ABSENT


class GetReply(msgspec.Struct, array_like=True, frozen=True):
    """What the store holds under the key, and the floor of its slot.

    The version stands alone where the record is left out because the caller knows it, or a newer one.
    """

    record: bytes | None
    floor: Hlc
    version: Version | None = None
    register: bytes | None = None  # acceptor state, where its newest value is not learned


PUT = Method("put", request=PutCall, reply=PutReply)
GET = Method("get", request=GetCall, reply=GetReply)


class StaleEpoch(msgspec.Struct, array_like=True, frozen=True):
    """What comes with `stale-epoch`: the document in force at the replica."""

    document: bytes | None


_stale = msgspec.msgpack.Decoder(StaleEpoch)


class Replica:
    """The `put` and `get` of one store."""

    def __init__(self, store: Store, membership: Membership) -> None:
        self._store, self._membership = store, membership

    def put_local(self, call: PutCall, epoch: int) -> asyncio.Future[PutReply]:
        """Queue puts of ours; the future ends when they are durable or refused."""
        return self._store.submit(Put(call.records, epoch, call.kind))

    async def put(self, call: PutCall, header: CallHeader) -> PutReply:
        """Serve `put`."""
        try:
            waiting = self.put_local(call, header.epoch)
        except StorageError:  # too many wait, or the disk failed: nothing was queued
            raise RefusedCallError(ReplicaStatus.BUSY) from None
        reply = await waiting
        self.check_status(reply.status)
        return reply

    def check_status(self, status: ReplicaStatus) -> None:
        """Refuse what the writer has found to be of another epoch (R1).

        Raises:
            RefusedCallError: the answer to it.
        """
        if status is ReplicaStatus.STALE_EPOCH:
            raise self._stale()
        if status is ReplicaStatus.NEED_DOCUMENT:
            raise RefusedCallError(status)

    def get(self, call: GetCall, header: CallHeader) -> GetReply:
        """Serve `get`: no await between the epoch check and the read (R1).

        A version vouches only for a copy that is whole; a damaged one travels, so that the caller
        finds the damage as in any other answer.
        """
        self.check_epoch(header.epoch)
        raw, register = self._store.get_with_register(call.key)
        floor = self._store.floor(call.slot)
        if raw is not None and version_in(raw) <= call.known and is_whole(raw, checksum):
            return GetReply(None, floor, version_in(raw), register)
        return GetReply(raw, floor, None, register)

    def check_epoch(self, epoch: int) -> None:
        """Refuse a request of another epoch, or any while no document names us (R1, R9).

        Raises:
            RefusedCallError: the answer to it.
        """
        view = self._membership.member
        if view is None:
            raise RefusedCallError(ReplicaStatus.MISDIRECTED)
        verdict = judge_epoch(epoch, view.epoch)
        if verdict is EpochVerdict.STALE_EPOCH:
            raise self._stale()
        if verdict is EpochVerdict.NEED_DOCUMENT:
            raise RefusedCallError(ReplicaStatus.NEED_DOCUMENT)

    def _stale(self) -> RefusedCallError:
        """Return the refusal `stale-epoch`, with the document that the caller lacks."""
        document = msgspec.Raw(encoder.encode(StaleEpoch(self._store.document)))
        return RefusedCallError(ReplicaStatus.STALE_EPOCH, document)


def document_in(body: Body) -> bytes | None:
    """Return the document that came with `stale-epoch`; None where there is none."""
    try:
        return _stale.decode(body).document
    except msgspec.DecodeError:
        return None
