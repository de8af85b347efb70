"""Puts on their way to the replicas, in groups: what one turn of the event loop writes to the same stores.

One frame, one operation of each store's writer, one answer and one tally serve a whole group, be its
puts of one batch or of many requests. What a put costs is mostly handing it over, and that is paid
once. Nobody waits for company: a group leaves when the turn of its first put ends.
"""

import asyncio
from collections.abc import Sequence

from spine_core.replication.put_group_tally import PutGroupTally
from spine_core.replication.put_rules import PutKind, RefusedPut
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_tally import WriteTally
from spine_core.scalars import StoreNumber
from spine_node.engine.cluster.replica import PutCall
from spine_node.engine.cluster.replica_client import ReplicaClient
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.store.operations import PutRecord

PUTS_MAX = 256  # of one group: as many as one transaction takes
BYTES_MAX = 1024 * 1024  # a group that holds so much leaves at once


class PutGroups:
    """The groups of this turn of the loop."""

    def __init__(self, replicas: ReplicaClient) -> None:
        self._replicas = replicas
        self._open: dict[object, _PutGroup] = {}  # (epoch, replicas) → its group

    async def put(self, view: MemberView, record: PutRecord, left_s: float) -> WriteTally:
        """Send a put with its group; return its tally once that has a verdict.

        What is not decided within `left_s` seconds expires.
        """
        group = self._group(view, record)
        loop = asyncio.get_running_loop()
        decided: asyncio.Future[WriteTally] = loop.create_future()
        position = group.add(record, decided, left_s)
        if group.is_full:
            self._leave(group)
        timer = loop.call_later(left_s, group.expire, position)
        try:
            return await decided
        finally:
            timer.cancel()

    def _group(self, view: MemberView, record: PutRecord) -> "_PutGroup":
        key = (view.epoch, view.placement.replicas_of(record.slot))
        group = self._open.get(key)
        if group is None:
            group = self._open[key] = _PutGroup(key, view, record)
            asyncio.get_running_loop().call_soon(self._leave, group)
        return group

    def _leave(self, group: "_PutGroup") -> None:
        if self._open.get(group.key) is group:
            del self._open[group.key]
            group.send(self._replicas)


class _PutGroup:
    """Puts of one epoch to the same replicas, and who waits for their verdicts."""

    def __init__(self, key: object, view: MemberView, first: PutRecord) -> None:
        self.key = key
        self._view = view
        self._records: list[PutRecord] = []
        self._bytes = 0
        self._left_s = 0.0  # of the most patient
        self._tally = PutGroupTally(view.placement, first.slot)
        self._waiting: dict[int, asyncio.Future[WriteTally]] = {}

    @property
    def is_full(self) -> bool:
        return len(self._records) >= PUTS_MAX or self._bytes >= BYTES_MAX

    def add(self, record: PutRecord, decided: "asyncio.Future[WriteTally]", left_s: float) -> int:
        """Append a put; return its position."""
        position = len(self._records)
        self._records.append(record)
        self._bytes += len(record.raw)
        self._left_s = max(self._left_s, left_s)
        self._waiting[position] = decided
        return position

    def send(self, replicas: ReplicaClient) -> None:
        """Send all puts to the whole write set."""
        call = PutCall(self._records, PutKind.WRITE)
        replicas.put(self._view, self._tally.asked(), call, self._left_s, self._answered)

    def expire(self, position: int) -> None:
        """End one put at its deadline."""
        self._decide(position, self._tally.expire(position))

    def _answered(
        self, store: StoreNumber, status: ReplicaStatus, refused: Sequence[RefusedPut]
    ) -> None:
        self._tally.answer(store, status, refused)
        for position in tuple(self._tally.decided(tuple(self._waiting))):
            self._decide(position, self._tally.of(position))

    def _decide(self, position: int, tally: WriteTally) -> None:
        decided = self._waiting.pop(position, None)
        if decided is not None and not decided.done():  # its caller may have given up
            decided.set_result(tally)
