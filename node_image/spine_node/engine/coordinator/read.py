"""The coordinator of reads (protocol.md §6).

Eventual: one replica, a miss confirmed by a second. Read-your-writes: one replica whose copy reaches
the session's own write, else the next, else a quorum. Causal and strong: a majority of the read set,
and the newest copy is written back where it is missing before anybody is told of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import TypeVar

import msgspec

from spine_core.errors import ProblemError
from spine_core.records.consistency import ORDER, Model
from spine_core.records.encoding import Record, split_body
from spine_core.records.ids import key_hash, slot_of
from spine_core.records.sessions import Session
from spine_core.records.versions import ABSENT, Version, hlc_of, ms_of
from spine_core.replication.quorums import read_done, write_done
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Slot, StoreNumber
from spine_node.engine.cluster.configuration import Configuration
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.replica_client import Copy
from spine_node.engine.cluster.stable_time import StableTimes
from spine_node.engine.cluster.topology_view import TopologyView
from spine_node.links.mesh import CallError
from spine_node.ports import ReadOutcome, ReadRequest
from spine_node.store import key_of

RPC_TIMEOUT_S = 0.25  # one replica's time to answer a read before the next is asked
RETRY_S = 0.05
_HAS_IT = frozenset(
    {ReplicaStatus.OK, ReplicaStatus.SUPERSEDED, ReplicaStatus.LATE}
)  # answers to a write-back
MISS_WITNESSES = 2  # replicas that must miss a record before a read says that there is none


Found = TypeVar("Found")


class _Tags(msgspec.Struct):
    tags: list[str] = []


_tags = msgspec.json.Decoder(_Tags)


class _Target(msgspec.Struct, frozen=True, kw_only=True):
    """One record to read: where it lies, and until when the answer is wanted."""

    namespace: str
    memory_id: str
    slot: Slot
    key: bytes
    deadline: float


_Once = Callable[[_Target, TopologyView], Awaitable[Found]]


class NotAnsweredError(Exception):
    """This attempt did not get the answers it needs; another may."""


class ReadCoordinator:
    """Coordinates reads on any node."""

    def __init__(
        self, context: Context, stable: StableTimes, configuration: Callable[[], Configuration]
    ) -> None:
        self._stable, self._configuration = stable, configuration
        self._membership, self._replicas = context.membership, context.replicas
        self._hlc, self._clock, self._metrics = context.hlc, context.clock, context.metrics

    async def read(self, request: ReadRequest) -> ReadOutcome:
        """Execute one read at the model of request and policy, or stronger where its tags ask.

        Raises:
            ProblemError: `quorum-unavailable`, `clock-skew`, `not-ready`.
        """
        if request.session:
            self._hlc.follow(request.session.t)
        target = self._target(request.namespace, request.memory_id, request.deadline)
        consistency = self._configuration().consistency
        model = consistency.resolve(request.model, ())
        record, degraded = await self._read_at(model, target, request)
        asked = consistency.resolve(request.model, tags_of(record))
        if ORDER.index(asked) > ORDER.index(model):
            model = asked
            record, degraded = await self._read_at(model, target, request)
        session = request.session or Session()
        return ReadOutcome(
            record=record,
            model=model,
            session=session.saw(hlc_of(record.version)) if record else session,
            staleness_ms=self._staleness(model, target.slot),
            degraded="one-replica" if degraded else None,
        )

    async def quorum(self, namespace: str, memory_id: str, deadline: float) -> Record | None:
        """Return the latest acknowledged version of a record, or a newer one in flight."""
        target = self._target(namespace, memory_id, deadline)
        return await self._retried(target, self._quorum_once)

    async def _read_at(
        self, model: Model, target: _Target, request: ReadRequest
    ) -> tuple[Record | None, bool]:
        if model is Model.EVENTUAL:
            return await self._retried(target, self._one_of(ABSENT))
        if model is Model.READ_YOUR_WRITES and request.session is not None:
            need = request.session.need(key_hash(request.namespace, request.memory_id))
            forgotten = request.session.o > self._stable.of(self._view(), target.slot)
            if need is not None or not forgotten:
                found = await self._own_write(target, need or ABSENT)
                if found is not None:
                    return found[0], False
            self._metrics.session_fallbacks.labels("unsatisfied" if need else "forgotten").inc()
        return await self._retried(target, self._quorum_once), False

    async def _own_write(self, target: _Target, need: Version) -> tuple[Record | None, bool] | None:
        """Ask replicas one after the other for a copy at or above `need`; None: no one had it."""
        try:
            return await self._one_of(need)(target, self._view())
        except NotAnsweredError:
            return None

    def _one_of(self, need: Version) -> _Once[tuple[Record | None, bool]]:
        return partial(self._one_once, need)

    async def _one_once(
        self, need: Version, target: _Target, view: TopologyView
    ) -> tuple[Record | None, bool]:
        """Return the newest copy of R good replicas; and true when a miss had no second witness.

        Good is a copy at or above `need`, or a floor above it: what this session wrote was deleted
        and purged since. Without a need a miss is good too, and two of them are asked for.
        """
        answers: list[Copy | None] = []
        stores = self._replicas.order(view.placement.read_set(target.slot), view.number)
        for store in stores:
            left_s = min(RPC_TIMEOUT_S, target.deadline - self._clock.now())
            try:
                copy, floor = await self._replicas.get(view, store, target.slot, target.key, left_s)
            except CallError:
                continue
            reached = copy.version >= need if copy is not None else need == ABSENT
            if reached or (need != ABSENT and floor >= hlc_of(need)):
                answers.append(copy)
            newest = _newest(answers)
            lone = newest is not None or need != ABSENT
            witnesses = 1 if lone else min(MISS_WITNESSES, len(stores))
            if len(answers) >= max(self._configuration().read_quorum, witnesses):
                return newest and newest.record, False
        if not answers:
            raise NotAnsweredError
        return newest and newest.record, True

    async def _quorum_once(self, target: _Target, view: TopologyView) -> Record | None:
        copies = await self._ask_all(target, view)
        newest = _newest(copies.values())
        if newest is None:
            return None
        holders = {store for store, copy in copies.items() if _reaches(copy, newest)}
        if not write_done(view.placement, target.slot, holders):
            await self._write_back(target, view, newest.raw, holders)
        return newest.record

    async def _ask_all(self, target: _Target, view: TopologyView) -> dict[StoreNumber, Copy | None]:
        """Ask the whole read set; return as soon as a majority has answered."""
        copies: dict[StoreNumber, Copy | None] = {}
        stores = view.placement.read_set(target.slot)
        left_s = target.deadline - self._clock.now()

        async def ask(store: StoreNumber) -> None:
            copies[store], _ = await self._replicas.get(
                view, store, target.slot, target.key, left_s
            )

        asking = [asyncio.create_task(ask(store)) for store in stores if store != view.number]
        try:
            if view.number in stores:  # ours answers at once, and alone it may be the majority
                with suppress(CallError):
                    await ask(view.number)
            if read_done(view.placement, target.slot, copies.keys()):
                return copies
            for answered in asyncio.as_completed(asking):
                try:
                    await answered
                except CallError:
                    continue
                if read_done(view.placement, target.slot, copies.keys()):
                    return dict(copies)
        finally:
            for work in asking:
                work.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        raise NotAnsweredError

    async def _write_back(
        self, target: _Target, view: TopologyView, raw: bytes, holders: set[StoreNumber]
    ) -> None:
        """Bring the newest copy to a write quorum before it is shown.

        The `late` of a write-back speaks of the floor: that replica had this version, or a newer
        one, and has purged it.
        """
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        rest = [s for s in view.placement.write_set(target.slot) if s not in holders]
        waiting = set(rest)

        def on_put(store: StoreNumber, answer: ReplicaStatus, _held: Version) -> None:
            waiting.discard(store)
            if answer in _HAS_IT:
                holders.add(store)
            if not ended.done() and (
                not waiting or write_done(view.placement, target.slot, holders)
            ):
                ended.set_result(None)

        left_s = target.deadline - self._clock.now()
        self._replicas.put(view, rest, (target.key, target.slot, raw, True), left_s, on_put)
        try:
            async with asyncio.timeout(left_s):
                await ended
        except TimeoutError:
            raise NotAnsweredError from None
        if not write_done(view.placement, target.slot, holders):
            raise NotAnsweredError

    async def _retried(self, target: _Target, once: _Once[Found]) -> Found:
        """Try under the epoch in force until it works or the deadline passes."""
        while True:
            try:
                return await once(target, self._view())
            except NotAnsweredError:
                if target.deadline - self._clock.now() <= RETRY_S:
                    self._metrics.quorum_failures.labels("read", "any", "no-quorum").inc()
                    detail = "too few replicas answered in time"
                    raise ProblemError("quorum-unavailable", detail) from None
            await self._clock.sleep(RETRY_S)

    def _target(self, namespace: str, memory_id: str, deadline: float) -> _Target:
        slot = slot_of(namespace, memory_id, self._view().document.slots)
        key = key_of(slot, namespace, memory_id)
        return _Target(
            namespace=namespace, memory_id=memory_id, slot=slot, key=key, deadline=deadline
        )

    def _view(self) -> TopologyView:
        return self._membership.member_view()

    def _staleness(self, model: Model, slot: Slot) -> int | None:
        if model not in {Model.EVENTUAL, Model.READ_YOUR_WRITES}:
            return None
        stable = self._stable.of(self._view(), slot)
        return max(0, self._clock.physical_ms() - ms_of(stable)) if stable else None


def tags_of(record: Record | None) -> list[str]:
    """Return the tags of a record; a tombstone has none."""
    client_json = split_body(record.body)[1] if record else b""
    return _tags.decode(client_json).tags if client_json else []


def _newest(copies: Iterable[Copy | None]) -> Copy | None:
    return max((copy for copy in copies if copy), key=attrgetter("version"), default=None)


def _reaches(copy: Copy | None, newest: Copy) -> bool:
    return copy is not None and copy.version >= newest.version
