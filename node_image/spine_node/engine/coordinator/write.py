"""The coordinator of weak writes (protocol.md §5).

Invariant: a write is acknowledged only when `WriteTally` says that replicas which fsynced it cover
the write quorum. Whatever else ends it says truly whether some replica may have applied it.
"""

import asyncio
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from spine_core.errors import ClockSkewError, ProblemError
from spine_core.records.consistency import Model
from spine_core.records.encoding import (
    FLAG_PINNED,
    FLAG_TOMBSTONE,
    Record,
    encode,
    is_absent,
    join_body,
    split_body,
)
from spine_core.records.ids import (
    check_id,
    key_hash,
    keyed_name,
    operation_id,
    partition_prefix,
    slot_of,
    ulid,
)
from spine_core.records.sessions import Session
from spine_core.records.versions import ABSENT, Version, hlc_of, ms_of
from spine_core.replication.put_rules import PutKind
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_tally import Verdict, WriteTally
from spine_core.scalars import Slot, StoreNumber
from spine_node.engine.cluster.configuration import Configuration
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.replica import PutCall
from spine_node.engine.cluster.topology_view import TopologyView
from spine_node.engine.coordinator.read import ReadCoordinator
from spine_node.links.mesh import CallError
from spine_node.ports import WriteOutcome, WriteRequest
from spine_node.server_fields import ServerFields, pack_server_fields, read_body
from spine_node.store import StorageError, StorageFullError, checksum, key_of

RESTAMPS_MAX = 5
RETRY_S = 0.025  # first wait after an attempt that found no quorum; doubles up to RETRY_MAX_S
RETRY_MAX_S = 0.2
LOOK_TIMEOUT_S = 0.25  # for the copy that gives `created_at`


class PendingWrite(msgspec.Struct, frozen=True, kw_only=True):
    """A write that is ready but for its version."""

    namespace: str
    memory_id: str
    slot: Slot
    key: bytes
    op: int
    flags: int
    expires_after_ms: int | None
    created_ms: int | None  # of what it replaces; None: this write creates
    writer: str
    memory: bytes  # the client's JSON; empty in a tombstone
    deadline: float

    def record(self, version: Version) -> Record:
        """Stamp the pending."""
        now_ms, after = ms_of(hlc_of(version)), self.expires_after_ms
        fields = ServerFields(created_at=self.created_ms or now_ms, writer=self.writer)
        body = join_body(pack_server_fields(fields), self.memory)
        expires = now_ms + after if after else 0
        return Record(version=version, op=self.op, expires_ms=expires, flags=self.flags, body=body)


class WriteCoordinator:
    """Coordinates writes on any node, whether or not it holds a replica of the record."""

    def __init__(
        self, context: Context, reading: ReadCoordinator, configuration: Callable[[], Configuration]
    ) -> None:
        self._reading, self._configuration = reading, configuration
        self._membership, self._replicas = context.membership, context.replicas
        self._hlc, self._clock, self._metrics = context.hlc, context.clock, context.metrics
        self.strategy = "hash"

    async def write(self, request: WriteRequest) -> WriteOutcome:
        """Execute one write.

        Raises:
            ProblemError: with `outcome`, as api.md §3.2 lists.
        """
        view = self._membership.member_view()
        model = self._configuration().consistency.resolve(request.model, request.tags)
        if model is Model.STRONG:
            raise ProblemError(
                "not-implemented",
                "strong writes need registers, which this version does not have yet; "
                "write with another model and without the tags that ask for strong",
                outcome="not-applied",
            )
        session = request.session or Session()
        self._hlc.follow(session.t)
        pending, previous = await self._pending(view, request)
        if request.memory_id is None and previous is not None:
            return self._replay(request, pending, previous, model, session)
        record, tally = await self._put(pending, issued=request.memory_id is None)
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

    async def _pending(
        self, view: TopologyView, request: WriteRequest
    ) -> tuple[PendingWrite, Record | None]:
        """Return the write without its version, and the record it replaces as far as one knows."""
        now_ms = self._clock.physical_ms()
        keyed = request.idempotency_key
        op = (
            operation_id(request.principal, keyed)
            if keyed
            else int.from_bytes(self._clock.entropy(8), "big")
        )
        memory_id = request.memory_id or self._issue(request, now_ms)
        slot = slot_of(request.namespace, memory_id, view.document.slots)
        key = key_of(slot, request.namespace, memory_id)
        previous = await self._previous(view, request, slot, key, memory_id)
        created_ms = None
        if previous is not None and not is_absent(previous, now_ms):
            created_ms = read_body(previous.body)[0].created_at
        flags = FLAG_TOMBSTONE if request.memory is None else 0
        pending = PendingWrite(
            namespace=request.namespace,
            memory_id=memory_id,
            slot=slot,
            key=key,
            op=op,
            flags=flags | (FLAG_PINNED if request.pinned else 0),
            expires_after_ms=request.ttl_seconds and request.ttl_seconds * 1000,
            created_ms=created_ms,
            writer=request.principal,
            memory=request.memory or b"",
            deadline=request.deadline,
        )
        return pending, previous

    async def _previous(
        self, view: TopologyView, request: WriteRequest, slot: Slot, key: bytes, memory_id: str
    ) -> Record | None:
        """Find what the write replaces.

        A keyed create asks a quorum, since an earlier attempt may have made it; an unkeyed one has
        a new id; anything else looks at one replica, for `created_at`.
        """
        if request.memory_id is None:
            if request.idempotency_key is None:
                return None
            return await self._reading.quorum(request.namespace, memory_id, request.deadline)
        left_s = min(LOOK_TIMEOUT_S, request.deadline - self._clock.now())
        for store in self._replicas.order(view.placement.read_set(slot), view.number)[:2]:
            try:
                copy, _ = await self._replicas.get(view, store, slot, key, left_s)
            except CallError:
                continue
            return copy and copy.record
        return None

    def _issue(self, request: WriteRequest, now_ms: int) -> str:
        if self.strategy == "agent":
            value = request.agent_id
        elif self.strategy == "tag":
            value = request.partition_by or (request.tags[0] if request.tags else None)
        else:
            value = None
        if request.idempotency_key is None:
            name = ulid(now_ms, self._clock.entropy(10))
        else:
            name = keyed_name(request.principal, request.namespace, request.idempotency_key, now_ms)
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

    async def _put(self, pending: PendingWrite, *, issued: bool) -> tuple[Record, WriteTally]:
        """Try until the write quorum has it, the deadline passes, or the answer is final."""
        effort = _RetryState(wait_s=RETRY_S)
        while True:
            view = self._membership.view
            if view is None or view.number is None:
                raise effort.problem("quorum-unavailable", "this node has left the cluster")
            effort = await self._stamped(view, pending, effort)
            record = pending.record(effort.version)
            tally = WriteTally(view.placement, pending.slot)
            verdict = await self._attempt(view, pending, encode(record, checksum), tally)
            if verdict is Verdict.ACKNOWLEDGED:
                return record, tally
            effort = effort.after(tally)
            if verdict is Verdict.RESTAMP:
                found = await self._created_before(pending, effort) if issued else None
                if found is not None:
                    return found, tally
                effort = self._above(tally.superseded_by, effort)
            effort.go_on(verdict)
            await self._pause(pending, effort, tally)
            effort = replace(effort, wait_s=min(2 * effort.wait_s, RETRY_MAX_S))

    async def _stamped(
        self, view: TopologyView, pending: PendingWrite, effort: "_RetryState"
    ) -> "_RetryState":
        """Give the next attempt its version, unless it repeats the one before."""
        if effort.version is not ABSENT:
            return effort
        assert view.number is not None, "only a member writes"
        left_s = pending.deadline - self._clock.now()
        try:
            return replace(effort, version=await self._hlc.version(view.number, left_s))
        except StorageFullError as error:  # another node may still issue versions
            alone = len(view.document.current) == 1
            code = "storage-full" if alone else "quorum-unavailable"
            raise effort.problem(code, "this node's disk is full") from error
        except (StorageError, TimeoutError) as error:
            detail = f"this node's disk takes no writes: {str(error) or 'it hangs'}"
            raise effort.problem("quorum-unavailable", detail) from error

    def _above(self, held: Version, effort: "_RetryState") -> "_RetryState":
        """Ask for a new version above the one that a replica holds.

        Where that is too far ahead of our clock, time may help; the old version cannot win, and
        trying it again tells us when.
        """
        try:
            self._hlc.see(hlc_of(held))
        except ClockSkewError:
            return effort
        self._metrics.restamped.inc()
        return effort.restamped()

    async def _created_before(self, pending: PendingWrite, effort: "_RetryState") -> Record | None:
        """Return what an earlier attempt of this create has made, None if nobody can have seen it."""
        try:
            return await self._reading.quorum(
                pending.namespace, pending.memory_id, pending.deadline
            )
        except ProblemError as error:
            raise effort.problem("quorum-unavailable", error.detail) from error

    async def _attempt(
        self, view: TopologyView, pending: PendingWrite, raw: bytes, tally: WriteTally
    ) -> Verdict:
        """Send one put to the whole write set; return as soon as its fate is known."""
        ended: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

        def on_put(store: StoreNumber, answer: ReplicaStatus, held: Version) -> None:
            tally.answer(store, answer, held)
            verdict = tally.verdict()
            if verdict is not None and not ended.done():
                ended.set_result(verdict)

        left_s = pending.deadline - self._clock.now()
        if left_s > 0:
            put = PutCall(pending.key, pending.slot, raw, PutKind.WRITE)
            self._replicas.put(view, tally.asked(), put, left_s, on_put)
        else:
            for store in tally.asked():
                on_put(store, ReplicaStatus.UNREACHABLE, ABSENT)
        try:
            async with asyncio.timeout(left_s):
                return await ended
        except TimeoutError:
            return tally.expire()

    async def _pause(self, pending: PendingWrite, effort: "_RetryState", tally: WriteTally) -> None:
        """Wait a little before the next attempt.

        Raises:
            ProblemError: `quorum-unavailable`, there is no time for one.
        """
        left_s = pending.deadline - self._clock.now()
        if left_s <= effort.wait_s or effort.restamps > RESTAMPS_MAX:
            self._metrics.quorum_failures.labels("write", "weak", "no-quorum").inc()
            problem = effort.problem(
                "quorum-unavailable",
                f"{len(tally.acks)} of {len(tally.asked())} replicas took the write in time",
            )
            raise problem
        await self._clock.sleep(self._clock.jittered(effort.wait_s))


class _RetryState(msgspec.Struct, frozen=True, kw_only=True):
    """What the attempts so far have left behind."""

    wait_s: float
    version: Version = ABSENT  # of the next attempt; absent: take a new one
    restamps: int = 0
    may_have_applied: bool = False

    def after(self, tally: WriteTally) -> "_RetryState":
        return replace(self, may_have_applied=self.may_have_applied or tally.may_have_applied)

    def restamped(self) -> "_RetryState":
        return replace(self, version=ABSENT, restamps=self.restamps + 1)

    def go_on(self, verdict: Verdict) -> None:
        """Let another attempt pass.

        Raises:
            ProblemError: the verdict is final.
        """
        if verdict is Verdict.REROUTE:
            raise self.problem("not-implemented", "this record is a register")
        if verdict is Verdict.FULL:
            raise self.problem("storage-full", "the replicas' disks are full")

    def problem(self, code: str, detail: str) -> ProblemError:
        applied = self.may_have_applied
        return ProblemError(code, detail, outcome="indeterminate" if applied else "not-applied")
