"""What the tests of the query index share: a real store, its index, and memories to put in."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from spine_core.errors import CorruptRecordError
from spine_core.records.encoding import FLAG_TOMBSTONE, Record, decode, encode, join_body
from spine_core.records.filters import canonical, parse_filter
from spine_core.records.hlc import HybridClock
from spine_core.records.ids import slot_of
from spine_core.records.versions import Version, hlc_from_ms, make_version
from spine_core.replication.put_rules import PutKind
from spine_core.scalars import Hlc, Origin, StoreNumber
from spine_node.ports import ListOrder
from spine_node.search.index import PORTS, IndexPorts, QueryIndex
from spine_node.search.limits import LIMITS, IndexLimits
from spine_node.search.messages import Position, QueryCall, QueryPage, slots_to_bytes
from spine_node.store import Store, checksum, key_of, open_store
from spine_node.store.operations import Adopt, Put, PutRecord

NOW_MS = 1_700_000_000_000
SLOTS = 16
ALL_SLOTS = (1 << SLOTS) - 1
EPOCH = 3
DEADLINE_S = 20.0


def record_of(
    memory: dict[str, object] | None,
    version: Version,
    *,
    created_ms: int = NOW_MS,
    expires_ms: int = 0,
) -> bytes:
    """Encode a record as the node does; None is a tombstone."""
    server = msgspec.msgpack.encode({"created_at": created_ms, "writer": "bot", "guard": None})
    body = join_body(server, b"" if memory is None else msgspec.json.encode(memory))
    flags = FLAG_TOMBSTONE if memory is None else 0
    record = Record(version=version, op=1, expires_ms=expires_ms, flags=flags, body=body)
    return encode(record, checksum)


@dataclass(slots=True)
class IndexHarness:
    """One store and its index, as one node has them."""

    store: Store
    index: QueryIndex
    number: int = 1
    stamps: int = 0

    def stamp(self) -> Version:
        """Return a version above all earlier ones of this harness."""
        self.stamps += 1
        return make_version(Hlc(hlc_from_ms(NOW_MS) + self.stamps), Origin(self.number))

    async def put(self, namespace: str, memory_id: str, raw: bytes) -> None:
        """Store a record durably."""
        slot = slot_of(namespace, memory_id, SLOTS)
        key = key_of(slot, namespace, memory_id)
        reply = await self.store.submit(
            Put([PutRecord(key, slot, raw)], EPOCH, kind=PutKind.WRITE_BACK)
        )
        assert reply.of(0) in {"ok", "superseded"}

    async def write(
        self,
        memory_id: str,
        memory: dict[str, object] | None,
        *,
        namespace: str = "team",
        created_ms: int = NOW_MS,
        expires_ms: int = 0,
    ) -> Version:
        """Store a memory, or a tombstone, under a new version."""
        version = self.stamp()
        raw = record_of(memory, version, created_ms=created_ms, expires_ms=expires_ms)
        await self.put(namespace, memory_id, raw)
        return version

    def damage(self, namespace: str, memory_id: str) -> None:
        """Flip a bit of a record on the disk."""
        key = key_of(slot_of(namespace, memory_id, SLOTS), namespace, memory_id)
        with self.store._environment.begin(write=True, db=self.store._rec) as txn:
            raw = txn.get(key, b"")
            txn.put(key, raw[:-1] + bytes([raw[-1] ^ 1]))

    def intact(self, key: bytes) -> Record | None:
        """Return a record, None when there is none or it is damaged."""
        raw = self.store.get(key)
        with suppress(CorruptRecordError):
            return decode(raw, checksum) if raw else None
        return None

    async def ask(self, call: QueryCall) -> QueryPage:
        return await self.index.answer(call, asyncio.get_running_loop().time() + DEADLINE_S)

    async def ids(self, call: QueryCall) -> list[str]:
        """Return the ids of one page."""
        at = 1 if call.order == "id" else 2
        return [str(each.position[at]) for each in (await self.ask(call)).candidates]


def asking(
    where: object = None,
    *,
    namespace: str = "team",
    order: ListOrder = "created_at",
    subtree: bool = False,
    after: Position | None = None,
    limit: int = 100,
    slots: int = ALL_SLOTS,
    needs: Sequence[tuple[int, bytes]] = (),
    fresh: bool = True,
) -> QueryCall:
    """Return a call of one page, fresh and about all slots unless said otherwise."""
    return QueryCall(
        namespace=namespace,
        subtree=subtree,
        filter=canonical(parse_filter(where or {})),
        order=order,
        after=after,
        limit=limit,
        slots=slots_to_bytes(slots),
        needs=tuple(needs),
        fresh=fresh,
        now_ms=NOW_MS,
    )


@asynccontextmanager
async def opened_store(path: Path, number: int = 1) -> AsyncIterator[Store]:
    """Open a store that owns every slot; closing it is a crash."""
    store = open_store(path / "store", clock=HybridClock(), physical_ms=lambda: NOW_MS)
    try:
        owned = frozenset(range(SLOTS))
        adopted = await store.submit(
            Adopt(b'{"epoch":3}', EPOCH, StoreNumber(number), "cluster", owned)
        )
        assert adopted in {"ok", "older"}
        yield store
    finally:
        await store.close(clean=False)


@asynccontextmanager
async def running_index(
    store: Store, path: Path, *, limits: IndexLimits = LIMITS, ports: IndexPorts = PORTS
) -> AsyncIterator[QueryIndex]:
    """Run an index on a file; leaving is a stop between two transactions."""
    file = path / "index.sqlite"
    index = QueryIndex(store, file, physical_ms=lambda: NOW_MS, limits=limits, ports=ports)
    running = asyncio.create_task(index.run())
    try:
        yield index
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def opened_harness(
    path: Path, number: int = 1, *, limits: IndexLimits = LIMITS, ports: IndexPorts = PORTS
) -> AsyncIterator[IndexHarness]:
    """Open a store with its index."""
    async with (
        opened_store(path, number) as store,
        running_index(store, path, limits=limits, ports=ports) as index,
    ):
        yield IndexHarness(store, index, number)
