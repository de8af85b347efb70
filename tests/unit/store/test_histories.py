"""The store against a dictionary: any history, restarts and full disks included."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import lmdb
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from spine_core.records.encoding import FLAG_TOMBSTONE, header_of
from spine_core.records.versions import Version, hlc_of
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc
from spine_node.store import StorageFullError
from spine_node.store.digests import Digests, change_of
from spine_node.store.operations import MergePage, Operation, PutReply, RaiseFloor
from unit.store.harness import (
    EPOCH,
    SLOTS,
    StoreHarness,
    at,
    hlc,
    key,
    picture,
    put,
    record,
    refused,
    rows,
    stored,
    tombstone,
)

Result = TypeVar("Result")

slots = st.integers(0, 2)
names = st.sampled_from("abcd")
times = st.integers(0, 40)
stores = st.integers(1, 2)


class Model:
    """What a store is to do, as plainly as it can be said."""

    def __init__(self) -> None:
        self.held: dict[bytes, bytes] = {}
        self.floors: dict[int, int] = {}
        self.feed: list[tuple[bytes, Version]] = []

    def put(self, slot: int, where: bytes, version: Version, raw: bytes) -> PutReply:
        held = self.held.get(where)
        if held is None and hlc_of(version) <= self.floors.get(slot, 0):
            return refused(ReplicaStatus.LATE)
        if held is not None and header_of(held).version > version:
            return refused(ReplicaStatus.SUPERSEDED, header_of(held).version)
        if held is None or header_of(held).version < version:
            self.write(where, version, raw)
        return PutReply()

    def merge(self, slot: int, where: bytes, version: Version, raw: bytes) -> None:
        held = self.held.get(where)
        below = held is None and hlc_of(version) <= self.floors.get(slot, 0)
        if not below and (held is None or header_of(held).version < version):
            self.write(where, version, raw)

    def write(self, where: bytes, version: Version, raw: bytes) -> None:
        self.held[where] = raw
        self.feed.append((where, version))

    def raise_floor(self, slot: int, floor: int) -> None:
        if floor <= self.floors.get(slot, 0):
            return
        self.floors[slot] = floor
        buried = [
            where
            for where, raw in self.held.items()
            if where[1] == slot
            and header_of(raw).flags & FLAG_TOMBSTONE
            and hlc_of(header_of(raw).version) <= floor
        ]
        for where in buried:
            del self.held[where]


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp())
        self.harness = StoreHarness(self.directory)
        self.model = Model()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    async def _submit(self, operation: Operation) -> Any:
        return await self.store.submit(operation)

    @initialize()
    def open(self) -> None:
        self.store = self.run(self.harness.adopted())

    @rule(slot=slots, name=names, ms=times, store=stores, dead=st.booleans())
    def put(self, slot: int, name: str, ms: int, store: int, dead: bool) -> None:
        version = at(ms, store=store)
        raw = tombstone(version) if dead else record(version, b"%d" % ms)
        reply = self.run(self._submit(put(slot, version, name, raw=raw)))
        assert reply == self.model.put(slot, key(slot, name), version, raw)

    @rule(slot=slots, page=st.lists(st.tuples(names, times, stores, st.booleans()), max_size=6))
    def merge(self, slot: int, page: list[tuple[str, int, int, bool]]) -> None:
        entries = []
        for name, ms, store, dead in page:
            version = at(ms, store=store)
            raw = tombstone(version) if dead else record(version, b"%d" % ms)
            entries.append((key(slot, name), raw))
            self.model.merge(slot, key(slot, name), version, raw)
        assert self.run(self._submit(MergePage(slot, EPOCH, stored(entries)))).status == "ok"

    @rule(slot=slots, ms=times)
    def raise_floor(self, slot: int, ms: int) -> None:
        self.run(self._submit(RaiseFloor(slot, hlc(ms))))
        self.model.raise_floor(slot, hlc(ms))

    @rule(slot=slots, name=names, ms=times)
    def meet_a_full_disk(self, slot: int, name: str, ms: int) -> None:
        batch: list[Operation] = [put(slot, at(ms), name), RaiseFloor(slot, hlc(ms))]
        replies = self.run(
            self.harness.in_one_batch(self.store, batch, disk=lmdb.MapFullError("full"))
        )
        assert replies[0] == PutReply(ReplicaStatus.FULL)
        assert isinstance(replies[1], StorageFullError)

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        self.run(self.store.close(clean=clean))
        self.store = self.run(self._open())
        assert self.store.identity.was_clean == clean

    async def _open(self) -> Any:
        return self.harness.open()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert rows(self.store) == self.model.held
        assert {slot: self.store.floor(slot) for slot in self.model.floors} == self.model.floors

    @invariant()
    def feeds_what_the_model_wrote(self) -> None:
        entries = [(entry.key, entry.version) for entry in self.store.feed_since(0, 10_000)]
        assert entries == self.model.feed
        assert self.store.feed_head() == len(entries)

    @invariant()
    def digests_are_those_of_a_scan(self) -> None:
        scanned = Digests()
        for where, raw in self.model.held.items():
            floor = self.model.floors.get(where[1], 0)
            scanned.apply(change_of(where[1], where, None, raw, Hlc(floor)))
        assert picture(self.store) == {
            slot: (scanned.buckets(slot), scanned.size(slot)) for slot in range(SLOTS)
        }

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.directory)


Histories.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestHistories = Histories.TestCase
