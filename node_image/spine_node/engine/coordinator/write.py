"""Coordinator of writes: from a request to one put, and from its end to the answer (protocol.md §5).

What a weak write replaces is looked up first, for `created_at` and for keyed creates; `WeakPut` brings
it to a write quorum. What only a register can decide goes to `RegisterWrites`.
"""

from collections.abc import Callable
from functools import partial

import msgspec

from spine_core.errors import ProblemError
from spine_core.records.consistency import Model
from spine_core.records.encoding import (
    FLAG_PINNED,
    FLAG_TOMBSTONE,
    Record,
    is_absent,
    split_body,
)
from spine_core.records.ids import (
    PartitionStrategy,
    check_id,
    key_hash,
    keyed_name,
    partition_prefix,
    slot_of,
    ulid,
)
from spine_core.records.sessions import Session
from spine_node.engine.cluster.configuration import Configuration
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.engine.coordinator.pending_write import PendingWrite, operation_of
from spine_node.engine.coordinator.put_groups import PutGroups
from spine_node.engine.coordinator.read import ReadCoordinator
from spine_node.engine.coordinator.register_write import RegisterWrites
from spine_node.engine.coordinator.weak_put import MetRegisterError, WeakPut
from spine_node.links.mesh import CallError
from spine_node.ports import WriteOutcome, WriteRequest
from spine_node.server_fields import read_body
from spine_node.store import key_of

LOOK_TIMEOUT_S = 0.25  # for the copy that gives `created_at`


class WriteCoordinator:
    """Coordinates writes on any node, whether or not it holds a replica of the record."""

    def __init__(
        self,
        context: Context,
        reads: ReadCoordinator,
        register_writes: RegisterWrites,
        configuration: Callable[[], Configuration],
        strategy: PartitionStrategy,
    ) -> None:
        """`strategy`: by what the ids that this node issues are partitioned."""
        self._context, self._reads = context, reads
        self._configuration, self._strategy = configuration, strategy
        self._replicas, self._clock = context.replicas, context.clock
        self._groups = PutGroups(context.replicas)
        self._register_writes = register_writes

    async def write(self, request: WriteRequest) -> WriteOutcome:
        """Execute one write.

        Raises:
            ProblemError: with `outcome`, as api.md §3.2 lists.
        """
        view = self._context.membership.member_view()
        model = self._configuration().consistency.resolve(request.model, request.tags)
        session = request.session or Session()
        self._context.hlc.observe_session(session.t)
        if model is Model.STRONG or request.needs_register:
            pending = self._pending(view, request)
            return await self._register_writes.write(request, pending, model, session)
        pending, previous = await self._with_previous(view, request)
        if request.memory_id is None and previous is not None:
            return self._replay(request, pending, previous, model, session)
        read_before = partial(self._read_before, pending) if request.memory_id is None else None
        put = WeakPut(self._context, self._groups, pending, read_before)
        try:
            record, tally = await put.run()
        except MetRegisterError:
            self._context.metrics.rerouted.inc()
            return await self._rerouted(request, pending, put, model, session)
        now_ms = self._clock.physical_ms()
        return WriteOutcome(
            memory_id=pending.memory_id,
            record=record,
            created=previous is None or is_absent(previous, now_ms),
            replayed=False,
            model=model,
            session=session.wrote(key_hash(pending.namespace, pending.memory_id), record.version),
            acks=len(tally.acks),
            replicas=len(tally.asked()),
        )

    async def _rerouted(
        self,
        request: WriteRequest,
        pending: PendingWrite,
        put: WeakPut,
        model: Model,
        session: Session,
    ) -> WriteOutcome:
        """Go on as a change of the register that a weak put has met."""
        try:
            return await self._register_writes.write(request, pending, model, session)
        except ProblemError as error:
            if put.may_have_applied and error.outcome == "not-applied":
                error.outcome = (
                    "indeterminate"  # as a weak record, on a replica that had no promise
                )
            raise

    async def _with_previous(
        self, view: MemberView, request: WriteRequest
    ) -> tuple[PendingWrite, Record | None]:
        """Return the write without its version, and the record it replaces as far as one knows."""
        pending = self._pending(view, request)
        previous = await self._previous(view, request, pending)
        if previous is not None and not is_absent(previous, self._clock.physical_ms()):
            created_ms = read_body(previous.body)[0].created_at
            pending = msgspec.structs.replace(pending, created_ms=created_ms)
        return pending, previous

    def _pending(self, view: MemberView, request: WriteRequest) -> PendingWrite:
        """Return the write without its version, as if there were nothing before it."""
        now_ms = self._clock.physical_ms()
        op = operation_of(self._clock, request.subject, request.idempotency_key)
        memory_id = request.memory_id or self._issue(request, now_ms)
        slot = slot_of(request.namespace, memory_id, view.document.slots)
        key = key_of(slot, request.namespace, memory_id)
        flags = FLAG_TOMBSTONE if request.memory is None else 0
        return PendingWrite(
            namespace=request.namespace,
            memory_id=memory_id,
            slot=slot,
            key=key,
            op=op,
            flags=flags | (FLAG_PINNED if request.pinned else 0),
            expires_after_ms=request.ttl_seconds and request.ttl_seconds * 1000,
            created_ms=None,
            writer=request.subject,
            memory=request.memory or b"",
            deadline=request.deadline,
        )

    async def _previous(
        self, view: MemberView, request: WriteRequest, pending: PendingWrite
    ) -> Record | None:
        """Find what the write replaces.

        A keyed create asks a quorum, since an earlier attempt may have made it; an unkeyed one has
        a new id; anything else looks at one replica, for `created_at`.
        """
        if request.memory_id is None:
            if request.idempotency_key is None:
                return None
            return await self._read_before(pending)
        slot, key = pending.slot, pending.key
        left_s = min(LOOK_TIMEOUT_S, request.deadline - self._clock.now())
        for store in self._replicas.order(view.placement.read_set(slot), view.number)[:2]:
            try:
                copy, _ = await self._replicas.get(view, store, slot, key, left_s)
            except CallError:
                continue
            return copy and copy.record
        return None

    async def _read_before(self, pending: PendingWrite) -> Record | None:
        """Read what an earlier attempt of a create has made."""
        return await self._reads.quorum(pending.namespace, pending.memory_id, pending.deadline)

    def _issue(self, request: WriteRequest, now_ms: int) -> str:
        if self._strategy == "agent":
            value = request.agent_id
        elif self._strategy == "tag":
            value = request.partition_by or (request.tags[0] if request.tags else None)
        else:
            value = None
        if request.idempotency_key is None:
            name = ulid(now_ms, self._clock.entropy(10))
        else:
            name = keyed_name(request.subject, request.namespace, request.idempotency_key, now_ms)
        return check_id(partition_prefix(value) + name)

    def _replay(
        self,
        request: WriteRequest,
        pending: PendingWrite,
        found: Record,
        model: Model,
        session: Session,
    ) -> WriteOutcome:
        """Answer a keyed create that an earlier attempt had made (api.md §2.6)."""
        if is_absent(found, self._clock.physical_ms()):
            detail = "this key's memory was created, and has been deleted or has expired since"
            raise ProblemError("gone", detail)
        if found.op == pending.op and split_body(found.body)[1] != request.memory:
            raise ProblemError("idempotency-key-reused", "the key was used with another body")
        return WriteOutcome(
            memory_id=pending.memory_id,
            record=found,
            created=True,
            replayed=True,
            model=model,
            session=session.wrote(key_hash(pending.namespace, pending.memory_id), found.version),
            acks=0,
            replicas=0,
        )
