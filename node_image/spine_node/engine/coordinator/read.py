"""Coordinator of single reads (protocol.md §6).

Eventual: one replica, a miss confirmed by a second. Read-your-writes: one replica whose copy reaches
the session's own write, else the next, else a quorum. Causal and strong: a quorum (`quorum_read`).
When an answer is good, `spine_core.replication.read_tally` decides; here verdicts are obeyed.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import msgspec

from spine_core.records.consistency import ORDER, Model
from spine_core.records.encoding import Record, split_body
from spine_core.records.ids import key_hash, slot_of
from spine_core.records.sessions import Session
from spine_core.records.versions import ABSENT, Version, hlc_of, ms_of
from spine_core.replication.read_tally import (
    Found,
    SingleReplicaRead,
    Unanswered,
    answers_alone,
    own_write_need,
)
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import HLC_ZERO, Slot
from spine_node.engine.cluster.configuration import Configuration
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.replica_client import Copy
from spine_node.engine.cluster.stable_time import StableTimes
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.engine.coordinator.attempts import (
    AttemptFailedError,
    Backoff,
    attempts,
)
from spine_node.engine.coordinator.quorum_read import QuorumReads, failure_of
from spine_node.engine.coordinator.target import Target
from spine_node.links.mesh import CallError
from spine_node.ports import ReadOutcome, ReadRequest
from spine_node.store import key_of

RPC_TIMEOUT_S = 0.25  # one replica's time to answer a read before the next is asked
BACKOFF = Backoff(first_s=0.05, max_s=0.05)  # a read costs little, and a client waits for it

T = TypeVar("T")


class _Tags(msgspec.Struct):
    tags: list[str] = []


_tags = msgspec.json.Decoder(_Tags)


class ReadCoordinator:
    """Coordinates reads on any node."""

    def __init__(
        self,
        context: Context,
        stable: StableTimes,
        quorum: QuorumReads,
        configuration: Callable[[], Configuration],
    ) -> None:
        self._stable, self._configuration = stable, configuration
        self._membership, self._replicas = context.membership, context.replicas
        self._quorum = quorum
        self._hlc, self._clock, self._metrics = context.hlc, context.clock, context.metrics

    async def read(self, request: ReadRequest) -> ReadOutcome:
        """Execute one read at the model of request and policy, or stronger where its tags ask.

        Raises:
            ProblemError: `quorum-unavailable`, `clock-skew`, `not-ready`.
        """
        if request.session is not None:
            self._hlc.observe_session(request.session.t)
        target = self._target(request.namespace, request.memory_id, request.deadline)
        consistency = self._configuration().consistency
        model = consistency.resolve(request.model, ())
        found = await self._read_at(model, target, request)
        if consistency.may_ask_more(model):
            asked = consistency.resolve(request.model, tags_of(found.copy))
            if ORDER.index(asked) > ORDER.index(model):
                model = asked
                found = await self._read_at(model, target, request)
        record = _seen(found)
        session = request.session or Session()
        return ReadOutcome(
            record=record,
            model=model,
            session=session.saw(hlc_of(record.version)) if record else session,
            staleness_ms=self._staleness(model, target.slot),
            degraded="one-replica" if found.degraded else None,
        )

    async def quorum(self, namespace: str, memory_id: str, deadline: float) -> Record | None:
        """Return the latest acknowledged version of a record, or a newer one in flight.

        Raises:
            ProblemError: `quorum-unavailable`, `not-ready`.
        """
        target = self._target(namespace, memory_id, deadline)
        return _seen(await self._retried(partial(self._quorum.read, target), deadline))

    async def _read_at(self, model: Model, target: Target, request: ReadRequest) -> Found[Copy]:
        if model is Model.EVENTUAL:
            if (here := self._from_here(target, ABSENT)) is not None:
                return here
            return await self._retried(partial(self._from_one, target, ABSENT), target.deadline)
        if model is Model.READ_YOUR_WRITES and request.session is not None:
            hashed = key_hash(request.namespace, request.memory_id)
            stable = self._stable.of(self._view(), target.slot)
            need = own_write_need(request.session, hashed, stable)
            if need is not None:
                if (here := self._from_here(target, need)) is not None:
                    return here
                try:
                    found = await self._from_one(target, need)
                    return Found(found.copy)
                except AttemptFailedError:
                    pass  # no replica that answered has it: a quorum must
            self._metrics.session_fallbacks.labels("unsatisfied" if need else "forgotten").inc()
        return await self._retried(partial(self._quorum.read, target), target.deadline)

    def _from_here(self, target: Target, need: Version) -> Found[Copy] | None:
        """Answer from our own copy; None where others have to be asked."""
        view = self._view()
        if view.number not in view.placement.read_set(target.slot):
            return None
        try:
            copy = self._replicas.own(view, target.key)
        except CallError:  # damaged
            return None
        read_quorum = self._configuration().read_quorum
        if copy is None or not answers_alone(copy.version, need, read_quorum):
            return None
        return Found(copy)

    async def _retried(self, once: Callable[[], Awaitable[T]], deadline: float) -> T:
        """Try under the epoch in force until it works or the deadline passes."""
        try:
            return await attempts(once, self._clock, deadline, BACKOFF)
        except AttemptFailedError as failed:
            self._metrics.quorum_failures.labels("read", "any", "no-quorum").inc()
            raise failed.problem from None

    async def _from_one(self, target: Target, need: Version) -> Found[Copy]:
        """Ask replicas one after the other until one of them, or R, have a good answer."""
        view = self._view()
        replicas = self._replicas.order(view.placement.read_set(target.slot), view.number)
        read_quorum = self._configuration().read_quorum
        tally = SingleReplicaRead[Copy](replicas, need=need, read_quorum=read_quorum)
        for store in tally.asked():
            left_s = min(RPC_TIMEOUT_S, target.deadline - self._clock.now())
            try:
                copy, floor = await self._replicas.get(view, store, target.slot, target.key, left_s)
            except CallError as error:
                tally.failed(store, ReplicaStatus(error.status))
                continue
            tally.answer(copy.version if copy else ABSENT, copy, floor)
            if found := tally.verdict():
                return found
        last = tally.expire()
        if isinstance(last, Unanswered):
            raise failure_of(last)
        return last

    def _target(self, namespace: str, memory_id: str, deadline: float) -> Target:
        slot = slot_of(namespace, memory_id, self._view().document.slots)
        return Target(slot, key_of(slot, namespace, memory_id), deadline)

    def _view(self) -> MemberView:
        return self._membership.member_view()

    def _staleness(self, model: Model, slot: Slot) -> int | None:
        if model is Model.CAUSAL or model is Model.STRONG:
            return None
        stable = self._stable.of(self._view(), slot)
        return max(0, self._clock.physical_ms() - ms_of(stable)) if stable else None


def _seen(found: Found[Copy]) -> Record | None:
    """Return the record that a read has found; a register may say that there never was one."""
    record = found.copy and found.copy.record
    return None if record is not None and hlc_of(record.version) == HLC_ZERO else record


def tags_of(copy: Copy | None) -> list[str]:
    """Return the tags of a record; a tombstone has none."""
    client_json = split_body(copy.record.body)[1] if copy else b""
    return _tags.decode(client_json).tags if client_json else []
