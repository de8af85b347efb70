"""Puts on their way to the replicas: what one turn of the event loop writes to a store is one call.

One frame, one operation of the store's writer and one answer serve all of it, be its puts of one batch
or of many requests, and whatever other replicas each of them has. Puts with the same replicas are a
group, with one tally. What a put costs is mostly handing it over, and that is paid once. Nobody waits
for company: what one turn has written leaves when the turn ends.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from spine_core.replication.put_group_tally import PutGroupTally
from spine_core.replication.put_rules import PutKind, RefusedPut
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.replication.write_tally import WriteTally
from spine_core.scalars import StoreNumber
from spine_node.engine.cluster.replica import PutCall
from spine_node.engine.cluster.replica_client import ReplicaClient
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.store.operations import PutRecord

PUTS_MAX = 256  # of one call: as many as one transaction takes
BYTES_MAX = 1024 * 1024  # what holds so much leaves at once


class PutGroups:
    """The puts of this turn of the loop."""

    def __init__(self, replicas: ReplicaClient) -> None:
        self._replicas = replicas
        self._open: dict[int, _Flush] = {}  # epoch →

    async def put(self, view: MemberView, record: PutRecord, left_s: float) -> WriteTally:
        """Send a put with its turn; return its tally once that has a verdict.

        What is not decided within `left_s` seconds expires.
        """
        flush = self._flush(view)
        loop = asyncio.get_running_loop()
        decided: asyncio.Future[WriteTally] = loop.create_future()
        group, position = flush.add(record, decided, left_s)
        if flush.is_full:
            self._leave(flush)
        timer = loop.call_later(left_s, group.expire, position)
        try:
            return await decided
        finally:
            timer.cancel()

    def _flush(self, view: MemberView) -> "_Flush":
        flush = self._open.get(view.epoch)
        if flush is None:
            flush = self._open[view.epoch] = _Flush(view)
            asyncio.get_running_loop().call_soon(self._leave, flush)
        return flush

    def _leave(self, flush: "_Flush") -> None:
        if self._open.get(flush.view.epoch) is flush:
            del self._open[flush.view.epoch]
            flush.send(self._replicas)


class _Flush:
    """What one turn writes under one epoch."""

    def __init__(self, view: MemberView) -> None:
        self.view = view
        self._groups: dict[object, _PutGroup] = {}  # replicas →
        self._puts = self._bytes = 0
        self._left_s = 0.0  # of the most patient

    @property
    def is_full(self) -> bool:
        return self._puts >= PUTS_MAX or self._bytes >= BYTES_MAX

    def add(
        self, record: PutRecord, decided: "asyncio.Future[WriteTally]", left_s: float
    ) -> "tuple[_PutGroup, int]":
        """Append a put to the group of its replicas; return that and the position in it."""
        self._puts += 1
        self._bytes += len(record.raw)
        self._left_s = max(self._left_s, left_s)
        placement = self.view.placement
        replicas = placement.replicas_of(record.slot)
        group = self._groups.get(replicas)
        if group is None:
            group = self._groups[replicas] = _PutGroup(PutGroupTally(placement, record.slot))
        return group, group.add(record, decided)

    def send(self, replicas: ReplicaClient) -> None:
        """Send to each store of a write set all that is for it; stores that get the same share a call."""
        groups_of: defaultdict[StoreNumber, list[_PutGroup]] = defaultdict(list)
        for group in self._groups.values():
            for store in group.tally.asked():
                groups_of[store].append(group)
        stores_of: defaultdict[tuple[_PutGroup, ...], list[StoreNumber]] = defaultdict(list)
        for store, groups in groups_of.items():
            stores_of[tuple(groups)].append(store)
        for same, stores in stores_of.items():
            records = [record for group in same for record in group.records]
            call = PutCall(records, PutKind.WRITE)
            replicas.put(self.view, stores, call, self._left_s, partial(_answered, same))


class _PutGroup:
    """Puts to the same replicas, and who waits for their verdicts."""

    def __init__(self, tally: PutGroupTally) -> None:
        self.tally = tally
        self.records: list[PutRecord] = []
        self._waiting: dict[int, asyncio.Future[WriteTally]] = {}

    def add(self, record: PutRecord, decided: "asyncio.Future[WriteTally]") -> int:
        """Append a put; return its position."""
        position = len(self.records)
        self.records.append(record)
        self._waiting[position] = decided
        return position

    def answered(
        self, store: StoreNumber, status: ReplicaStatus, refused: Sequence[RefusedPut]
    ) -> None:
        """Take the answer of a store, and tell those whose put is decided."""
        self.tally.answer(store, status, refused)
        for position in tuple(self.tally.decided(tuple(self._waiting))):
            self._decide(position, self.tally.of(position))

    def expire(self, position: int) -> None:
        """End one put at its deadline."""
        self._decide(position, self.tally.expire(position))

    def _decide(self, position: int, tally: WriteTally) -> None:
        decided = self._waiting.pop(position, None)
        if decided is not None and not decided.done():  # its caller may have given up
            decided.set_result(tally)


def _answered(
    groups: Sequence[_PutGroup],
    store: StoreNumber,
    status: ReplicaStatus,
    refused: Sequence[RefusedPut],
) -> None:
    """Give each group of a call its part of the answer: positions count through all of them."""
    begin = 0
    for group in groups:
        own = [
            one._replace(position=one.position - begin)
            for one in refused
            if 0 <= one.position - begin < len(group.records)
        ]
        group.answered(store, status, own)
        begin += len(group.records)
