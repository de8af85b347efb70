"""What indexing costs a replica: CPU of the whole process per memory, nothing else running.

The memories are in the store before the indexer begins, so the read of the feed and of the records,
their decoding and SQLite are counted, and the write is not. Run it as `python -m bench.micro_index`.
"""

import asyncio
import gc
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from spine_core.records.encoding import Record, encode, join_body
from spine_core.records.filters import EMPTY, canonical
from spine_core.records.hlc import HybridClock
from spine_core.records.ids import SLOTS, slot_of, ulid
from spine_core.records.versions import hlc_from_ms, make_version
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc, Origin, StoreNumber
from spine_node.search.index import QueryIndex
from spine_node.search.messages import QueryCall, slots_to_bytes
from spine_node.server_fields import ServerFields, pack_server_fields
from spine_node.store import Store, checksum, key_of, open_store
from spine_node.store.operations import Adopt, Put, PutRecord, PutReply

NOW_MS: Final = 1_700_000_000_000
EPOCH: Final = 1
POPULATION: Final = 200  # tags of a namespace
REPEATS: Final = 5
GROUP: Final = 50  # puts of one commit
VALUE_BYTES: Final = 1100

Tags = Callable[[random.Random, int, int], list[str]]  # of a memory by its number, so many


def zipf_tags(chance: random.Random, _number: int, count: int) -> list[str]:
    """Draw tags from a population in which few are frequent."""
    chosen: set[int] = set()
    while len(chosen) < count:
        chosen.add(int(POPULATION ** chance.random()))
    return [f"topic-{number}" for number in sorted(chosen)]


def even_tags(chance: random.Random, _number: int, count: int) -> list[str]:
    """Draw tags that are all as frequent: hardly two memories share a set."""
    return [f"topic-{number}" for number in chance.sample(range(POPULATION), count)]


def own_tags(_chance: random.Random, number: int, count: int) -> list[str]:
    """Return tags that no other memory has."""
    return [f"only-{number}-{i}" for i in range(count)]


def index_cost(memories: int = 5000, tags: int = 5, draw: Tags = zipf_tags) -> float:
    """Return the microseconds of CPU that one replica pays for indexing one new memory."""
    with tempfile.TemporaryDirectory() as path:
        return asyncio.run(_cost(Path(path), memories, tags, draw))


async def _cost(path: Path, memories: int, tags: int, draw: Tags) -> float:
    store = open_store(path / "store", clock=HybridClock(), physical_ms=lambda: NOW_MS)
    try:
        owned = frozenset(range(SLOTS))
        await store.submit(Adopt(b"{}", EPOCH, StoreNumber(1), "bench", owned))
        await _indexed(store, path)  # an empty file that follows the feed
        puts = _puts(memories, tags, draw)
        for start in range(0, memories, GROUP):
            group = puts[start : start + GROUP]
            assert await store.submit(Put(group, EPOCH)) == PutReply(ReplicaStatus.OK)
        gc.collect()
        gc.freeze()  # as a node does after its start
        began = time.process_time()
        await _indexed(store, path)
        return (time.process_time() - began) / memories * 1e6
    finally:
        await store.close(clean=False)


async def _indexed(store: Store, path: Path) -> None:
    """Bring the index file to the head of the feed, and close it."""
    index = QueryIndex(store, path / "index.sqlite", physical_ms=lambda: NOW_MS)
    running = asyncio.create_task(index.run())
    try:
        await index.answer(_NOTHING, asyncio.get_running_loop().time() + 60)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


_NOTHING: Final = QueryCall(
    namespace="nobody",
    subtree=False,
    filter=canonical(EMPTY),
    order="created_at",
    after=None,
    limit=1,
    slots=slots_to_bytes(1),
    fresh=True,
    now_ms=NOW_MS,
)


def _puts(memories: int, tags: int, draw: Tags) -> list[PutRecord]:
    chance = random.Random(5)  # the same memories every time
    return [_put(chance, number, draw(chance, number, tags)) for number in range(memories)]


def _put(chance: random.Random, number: int, tags: list[str]) -> PutRecord:
    """Make a new memory of a fleet of 20 agents in 3 namespaces, 1.1 KB of JSON."""
    agent = f"agent-{chance.randrange(20)}"
    fields = {
        "content": "",
        "metadata": {"source": "chat", "turn": number, "model": "large"},
        "tags": tags,
        "agent_id": agent,
        "user_id": f"user-{chance.randrange(100)}",
        "thread_id": f"thread-{chance.randrange(400)}",
        "importance": 0.5,
        "pinned": False,
        "derived_from": [],
    }
    words = " ".join(f"word{chance.randrange(5000)}" for _ in range(VALUE_BYTES // 8))
    fields["content"] = words[: VALUE_BYTES - len(json.dumps(fields))]
    created_ms = NOW_MS + number // 3
    namespace = f"team.project-{chance.randrange(3)}"
    memory_id = ulid(created_ms, chance.randbytes(10))
    version = make_version(Hlc(hlc_from_ms(NOW_MS) + number + 1), Origin(1))
    server = pack_server_fields(ServerFields(created_at=created_ms, writer=agent))
    body = join_body(server, json.dumps(fields, separators=(",", ":")).encode())
    slot = slot_of(namespace, memory_id)
    raw = encode(Record(version=version, op=number, body=body), checksum)
    return PutRecord(key_of(slot, namespace, memory_id), slot, raw)


def main() -> None:
    """Print the cost for realistic tags, and for worse ones."""
    cases: dict[str, tuple[int, Tags]] = {
        "no tags": (0, zipf_tags),
        "5 of 200 tags, zipf": (5, zipf_tags),
        "5 of 200 tags, even": (5, even_tags),
        "5 tags of its own": (5, own_tags),
    }
    for name, (tags, draw) in cases.items():
        costs = [index_cost(tags=tags, draw=draw) for _ in range(REPEATS)]
        sys.stdout.write(
            f"{name:22} {statistics.median(costs):5.1f} us per memory (least {min(costs):.1f})\n"
        )


if __name__ == "__main__":
    main()
