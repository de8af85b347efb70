"""What the tests of the store share: a clock that stands still, records, and a gate before the writer."""

import asyncio
import resource
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spine_core.records.encoding import FLAG_TOMBSTONE, Record, decode, encode, version_in
from spine_core.records.hlc import HybridClock
from spine_core.records.versions import ABSENT, STRONG, Version, hlc_from_ms, make_version
from spine_core.replication.put_rules import PutKind, RefusedPut
from spine_core.replication.registers.encoding import encode_state
from spine_core.replication.registers.state import RegisterState, RegisterValue, ballot_in
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc, Origin, Slot, StoreNumber
from spine_node.store import Store, StorePorts, checksum, key_of, open_store
from spine_node.store.draft import Effects
from spine_node.store.layout import MAP_BYTES
from spine_node.store.operations import (
    Adopt,
    Barrier,
    Operation,
    Put,
    PutRecord,
    PutReply,
    StoredEntry,
)
from spine_node.store.space import Disk, FileSystem
from spine_node.store.writer import Writer

NOW_MS = 1_700_000_000_000
SLOTS = 8
EPOCH = 3
DOCUMENT = Adopt(b'{"epoch":3}', EPOCH, StoreNumber(1), "cluster", frozenset(range(SLOTS)))
DEADLINE_S = 20.0


def at(ms: int, *, store: int = 1, kind: int = 0, count: int = 0) -> Version:
    """Return a version stamped so many ms after NOW_MS."""
    return make_version(Hlc(hlc_from_ms(NOW_MS + ms) + count), Origin(store), kind=kind)


def hlc(ms: int) -> Hlc:
    return hlc_from_ms(NOW_MS + ms)


def key(slot: int, name: str = "a") -> bytes:
    return key_of(slot, "team.notes", name)


def record(version: Version, body: bytes = b"body", *, expires_ms: int = 0) -> bytes:
    return encode(Record(version=version, op=7, expires_ms=expires_ms, body=body), checksum)


def tombstone(version: Version) -> bytes:
    return encode(Record(version=version, op=7, flags=FLAG_TOMBSTONE, body=b""), checksum)


def damaged(raw: bytes) -> bytes:
    """Return a record whose last byte has flipped."""
    return raw[:-1] + bytes([raw[-1] ^ 1])


def put(
    slot: int,
    version: Version,
    name: str = "a",
    *,
    raw: bytes | None = None,
    epoch: int = EPOCH,
    kind: PutKind = PutKind.WRITE,
) -> Put:
    raw = record(version, name.encode()) if raw is None else raw
    return Put([PutRecord(key(slot, name), Slot(slot), raw)], epoch, kind)


def refused(status: ReplicaStatus, held: Version | None = None) -> PutReply:
    """Return what a store says to a single put that it does not apply."""
    return PutReply(refused=(RefusedPut(0, status, held),))


@contextmanager
def limited_to(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class WriterGate:
    """A failpoint that can hold the writer just before a commit, or make the disk fail there."""

    def __init__(self) -> None:
        self.commits = 0
        self.failures: dict[int, Exception] = {}  # number of the commit → what its disk says
        self._free = threading.Event()
        self._free.set()
        self._arrived = threading.Event()

    def __call__(self, instant: str) -> None:
        if instant != "before-commit":
            return
        self.commits += 1
        self._arrived.set()
        assert self._free.wait(DEADLINE_S)
        if self.commits in self.failures:
            raise self.failures[self.commits]

    def hold(self) -> None:
        """Stop the writer at its next commit."""
        self._arrived.clear()
        self._free.clear()

    async def arrived(self) -> None:
        assert await asyncio.to_thread(self._arrived.wait, DEADLINE_S)

    def release(self) -> None:
        self._free.set()


@dataclass(slots=True)
class StoreHarness:
    """One directory, opened again and again."""

    path: Path
    physical_ms: int = NOW_MS
    quota_bytes: int = MAP_BYTES
    map_bytes: int = MAP_BYTES
    clock: HybridClock = field(default_factory=HybridClock)
    gate: WriterGate = field(default_factory=WriterGate)
    disk_of: Callable[[Path, Callable[[], int]], Disk] = FileSystem
    writer_of: Callable[..., Writer[Effects]] = Writer

    def open(self) -> Store:
        self.clock = HybridClock()
        return open_store(
            self.path,
            clock=self.clock,
            physical_ms=lambda: self.physical_ms,
            quota_bytes=self.quota_bytes,
            map_bytes=self.map_bytes,
            ports=StorePorts(failpoint=self.gate, disk=self.disk_of, writer=self.writer_of),
        )

    async def adopted(self) -> Store:
        """Open a store that owns every slot of SLOTS in EPOCH."""
        store = self.open()
        assert await store.submit(DOCUMENT) == "ok"
        return store

    async def in_one_batch(
        self, store: Store, operations: Sequence[Operation], *, disk: Exception | None = None
    ) -> list[Any]:
        """Submit all of them while the writer is busy; return replies and exceptions.

        `disk` is what their commit fails with.
        """
        self.gate.hold()
        busy = store.submit(Barrier())
        await self.gate.arrived()
        if disk is not None:
            self.gate.failures[self.gate.commits + 1] = disk
        futures = [store.submit(operation) for operation in operations]
        self.gate.release()
        await busy
        return await asyncio.gather(*futures, return_exceptions=True)


def picture(store: Store) -> dict[int, tuple[list[int], tuple[int, int]]]:
    """Return what a store says of the contents of its slots."""
    return {slot: (store.digest(slot), store.slot_stats(slot)) for slot in range(SLOTS)}


def rows(store: Store) -> dict[bytes, bytes]:
    """Return every record of a store."""
    return {
        key: raw for slot in range(SLOTS) for key, raw in store.scan(slot, None, 10_000, 1 << 30)[0]
    }


def stored(records: Iterable[tuple[bytes, bytes]]) -> list[StoredEntry]:
    """Return (key, record) pairs as a pull carries them; a strong one has been learned."""
    return [StoredEntry(key_, raw, _learned(raw)) for key_, raw in records]


def _learned(raw: bytes) -> bytes | None:
    """Return the acceptor state of a replica that has learned a record; None of a weak one."""
    if version_in(raw)[:1] != bytes([STRONG]):
        return None
    held = decode(raw, checksum)
    ballot = ballot_in(held.version)
    value = RegisterValue(held, ABSENT, 0, ((held.op, ballot),))
    return encode_state(RegisterState(ballot, ballot, value, learned=True), checksum)
