"""One weak put on its way to a write quorum (protocol.md §5).

Invariant: it is acknowledged only when `WriteTally` says that replicas which fsynced it cover the
write quorum. Whatever else ends it says truly whether some replica may have applied it.
"""

from collections.abc import Awaitable, Callable

from spine_core.errors import ClockSkewError, ProblemError
from spine_core.records.encoding import Record, encode
from spine_core.records.versions import ABSENT, Version, hlc_of
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_tally import WriteTally, WriteVerdict
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.engine.coordinator.attempts import (
    AttemptFailedError,
    Backoff,
    attempts,
)
from spine_node.engine.coordinator.pending_write import PendingWrite
from spine_node.engine.coordinator.put_groups import PutGroups
from spine_node.store import StorageError, StorageFullError, checksum
from spine_node.store.operations import PutRecord

RESTAMPS_MAX = 5
BACKOFF = Backoff(first_s=0.025, max_s=0.2, jitter=True)  # after an attempt without a quorum


class MetRegisterError(Exception):
    """The record is a register: the same write goes on as its change (protocol.md §5, step 4)."""


ReadBefore = Callable[[], Awaitable[Record | None]]


class WeakPut:
    """One pending write, and what its attempts so far have left behind."""

    __slots__ = (
        "_context",
        "_groups",
        "_pending",
        "_read_before",
        "_restamps",
        "_version",
        "may_have_applied",
    )

    def __init__(
        self,
        context: Context,
        groups: PutGroups,
        pending: PendingWrite,
        read_before: ReadBefore | None,
    ) -> None:
        """`read_before`: of a create, reads what an earlier attempt of it may have made."""
        self._context, self._groups = context, groups
        self._pending, self._read_before = pending, read_before
        self._version: Version = ABSENT  # of the next attempt; absent: take a new one
        self._restamps = 0
        self.may_have_applied = False

    async def run(self) -> tuple[Record, WriteTally]:
        """Try until the write quorum has it, the deadline passes, or the answer is final.

        Raises:
            ProblemError: with `outcome`.
            MetRegisterError: no attempt can succeed.
        """
        try:
            return await attempts(self._once, self._context.clock, self._pending.deadline, BACKOFF)
        except AttemptFailedError as failed:
            self._context.metrics.quorum_failures.labels("write", "weak", "no-quorum").inc()
            raise failed.problem from None

    async def _once(self) -> tuple[Record, WriteTally]:
        view = self._context.membership.member
        if view is None:
            raise self._problem("quorum-unavailable", "this node has left the cluster")
        await self._stamp(view)
        record = self._pending.record(self._version)
        tally = await self._send(view, encode(record, checksum))
        verdict = tally.verdict() or WriteVerdict.UNAVAILABLE
        if verdict is WriteVerdict.ACKNOWLEDGED:
            return record, tally
        self.may_have_applied = self.may_have_applied or tally.may_have_applied
        if verdict in (WriteVerdict.RESTAMP, WriteVerdict.REROUTE):
            found = await self._made_before()
            if found is not None:
                return found, tally
        if verdict is WriteVerdict.REROUTE:
            raise MetRegisterError
        if verdict is WriteVerdict.RESTAMP:
            self._restamp_above(tally.superseded_by)
        if verdict is WriteVerdict.FULL:
            raise self._problem("storage-full", "the replicas' disks are full")
        detail = f"{len(tally.acks)} of {len(tally.asked())} replicas took the write in time"
        problem = self._problem("quorum-unavailable", detail)
        raise AttemptFailedError(problem, final=self._restamps > RESTAMPS_MAX)

    async def _stamp(self, view: MemberView) -> None:
        """Give the next attempt its version, unless it repeats the one before."""
        if self._version is not ABSENT:
            return
        left_s = self._pending.deadline - self._context.clock.now()
        try:
            self._version = await self._context.hlc.version(view.number, left_s)
        except StorageFullError as error:  # another node may still issue versions
            alone = len(view.document.current) == 1
            code = "storage-full" if alone else "quorum-unavailable"
            raise self._problem(code, "this node's disk is full") from error
        except (StorageError, TimeoutError) as error:
            detail = f"this node's disk takes no writes: {str(error) or 'it hangs'}"
            raise self._problem("quorum-unavailable", detail) from error

    async def _send(self, view: MemberView, raw: bytes) -> WriteTally:
        """Send one put to the whole write set; return its tally as soon as its fate is known."""
        pending = self._pending
        left_s = pending.deadline - self._context.clock.now()
        if left_s > 0:
            record = PutRecord(pending.key, pending.slot, raw)
            return await self._groups.put(view, record, left_s)
        tally = WriteTally(view.placement, pending.slot)
        for store in tally.asked():
            tally.answer(store, ReplicaStatus.UNREACHABLE)
        return tally

    async def _made_before(self) -> Record | None:
        """Return what an earlier attempt of this create has made, None if nobody can have seen it."""
        if self._read_before is None:
            return None
        try:
            return await self._read_before()
        except ProblemError as error:
            raise self._problem("quorum-unavailable", error.detail) from error

    def _restamp_above(self, held: Version) -> None:
        """Ask for a new version above the one that a replica holds.

        Where that is too far ahead of our clock, time may help; the old version cannot win, and
        trying it again tells us when.
        """
        try:
            self._context.hlc.observe(hlc_of(held))
        except ClockSkewError:
            return
        self._context.metrics.restamped.inc()
        self._version = ABSENT
        self._restamps += 1

    def _problem(self, code: str, detail: str) -> ProblemError:
        applied = self.may_have_applied
        return ProblemError(code, detail, outcome="indeterminate" if applied else "not-applied")
