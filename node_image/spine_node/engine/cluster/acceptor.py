"""This node as an acceptor: serves `prepare`, `accept` and `learn` of its own store.

The writer decides, in the transaction that stores the decision, epoch included (R1); a promise that
was not durable when it was given would break every round after it.
"""

from collections.abc import Awaitable

import msgspec

from spine_core.replication.registers.state import Ballot
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Slot
from spine_node.engine.cluster.replica import Replica
from spine_node.links.frames import CallHeader
from spine_node.links.methods import Handler, Method, RefusedCallError
from spine_node.store import StorageError, Store
from spine_node.store.operations import (
    Accept,
    AcceptReply,
    Asked,
    Learn,
    Prepare,
    PrepareReply,
    ReplyT,
)


class PrepareCall(msgspec.Struct, array_like=True, frozen=True):
    """The first half of a round."""

    slot: Slot
    key: bytes
    ballot: bytes


class AcceptCall(msgspec.Struct, array_like=True, frozen=True):
    """The second half of a round."""

    slot: Slot
    key: bytes
    ballot: bytes
    value: bytes  # as `registers.encoding` has it


class LearnCall(msgspec.Struct, array_like=True, frozen=True):
    """What a round has chosen; without a value it is the one accepted under the ballot."""

    slot: Slot
    key: bytes
    ballot: bytes
    value: bytes | None = None


PREPARE = Method("prepare", request=PrepareCall, reply=PrepareReply)
ACCEPT = Method("accept", request=AcceptCall, reply=AcceptReply)
LEARN = Method("learn", request=LearnCall, reply=AcceptReply)


class Acceptor:
    """The acceptor of one store."""

    def __init__(self, store: Store, replica: Replica) -> None:
        self._store, self._replica = store, replica

    def methods(self) -> tuple[tuple[str, Handler], ...]:
        """Return the name and the handler of each method."""
        return (
            PREPARE.served(self.prepare),
            ACCEPT.served(self.accept),
            LEARN.served(self.learn),
        )

    async def prepare(self, call: PrepareCall, header: CallHeader) -> PrepareReply:
        """Serve `prepare`."""
        reply = await self._submitted(prepare_of(call, header.epoch))
        self._replica.check_status(reply.status)
        return reply

    async def accept(self, call: AcceptCall, header: CallHeader) -> AcceptReply:
        """Serve `accept`."""
        reply = await self._submitted(accept_of(call, header.epoch))
        self._replica.check_status(reply.status)
        return reply

    async def learn(self, call: LearnCall, header: CallHeader) -> AcceptReply:
        """Serve `learn`."""
        reply = await self._submitted(learn_of(call, header.epoch))
        self._replica.check_status(reply.status)
        return reply

    def _submitted(self, operation: Asked[ReplyT]) -> Awaitable[ReplyT]:
        try:
            return self._store.submit(operation)
        except StorageError:  # too many wait, or the disk failed: nothing was queued
            raise RefusedCallError(ReplicaStatus.BUSY) from None


def prepare_of(call: PrepareCall, epoch: int) -> Prepare:
    """Return the operation of the writer."""
    return Prepare(call.key, call.slot, epoch, Ballot(call.ballot))


def accept_of(call: AcceptCall, epoch: int) -> Accept:
    """Return the operation of the writer."""
    return Accept(call.key, call.slot, epoch, Ballot(call.ballot), call.value)


def learn_of(call: LearnCall, epoch: int) -> Learn:
    """Return the operation of the writer."""
    return Learn(call.key, call.slot, epoch, Ballot(call.ballot), call.value)
