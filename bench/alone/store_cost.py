"""CPU of a durable put in one store alone, by the number of puts in a commit."""

import tempfile
import time
from pathlib import Path

from bench.memory import NAMESPACE, memory_id, memory_json
from spine_core.records.encoding import Record, encode, join_body
from spine_core.records.hlc import HybridClock
from spine_core.records.ids import SLOTS, slot_of
from spine_core.records.versions import hlc_from_ms, make_version
from spine_core.scalars import Hlc, Origin, StoreNumber
from spine_node.server_fields import ServerFields, pack_server_fields
from spine_node.store import checksum, key_of, open_store
from spine_node.store.operations import Adopt, Put, PutRecord

NOW_MS, EPOCH = 1_700_000_000_000, 1
SIZES = (1, 4, 16, 48, 256)


async def put_costs_us(memories: int) -> dict[int, float]:
    """Return puts of one commit → µs of process CPU for each, fsync included."""
    found = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory(prefix="spine-bench-", dir="/var/tmp") as name:
            found[size] = await _cost_us(Path(name), memories, size)
    return found


async def _cost_us(path: Path, memories: int, size: int) -> float:
    store = open_store(path / "store", clock=HybridClock(), physical_ms=lambda: NOW_MS)
    owned = frozenset(range(SLOTS))
    await store.submit(Adopt(b"{}", EPOCH, StoreNumber(1), "bench", owned))
    puts = [_put(number) for number in range(memories)]
    began = time.process_time()
    for first in range(0, memories, size):
        await store.submit(Put(puts[first : first + size], EPOCH))
    used = time.process_time() - began
    await store.close(clean=False)
    return used / memories * 1e6


def _put(number: int) -> PutRecord:
    identity = memory_id("store", number)
    server = pack_server_fields(ServerFields(created_at=NOW_MS, writer="bench"))
    version = make_version(Hlc(hlc_from_ms(NOW_MS) + number + 1), Origin(1))
    body = join_body(server, memory_json(identity).encode())
    raw = encode(Record(version=version, op=number, body=body), checksum)
    slot = slot_of(NAMESPACE, identity)
    return PutRecord(key_of(slot, NAMESPACE, identity), slot, raw)
