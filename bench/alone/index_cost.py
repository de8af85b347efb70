"""`python -m bench index`: CPU of the query index for a memory with five tags, alone in a process."""

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from uuid import uuid4

import msgspec
from rich.console import Console

from bench.memory import NAMESPACE, memory_id, memory_json
from bench.report.section import Section, finish
from bench.report.verdict import Verdict
from spine_core.records.encoding import Record, encode, join_body
from spine_core.records.ids import slot_of
from spine_core.records.versions import hlc_from_ms, make_version
from spine_core.scalars import Hlc, Origin
from spine_node.search.index_file import IndexFile, entries_of
from spine_node.search.limits import LIMITS
from spine_node.store import checksum, key_of

NOW_MS = 1_700_000_000_000
BOUND_US, GOAL_US = 18, 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--memories", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    console = Console(width=160)
    return finish(measure(options, console), console)


def measure(options: argparse.Namespace, console: Console) -> Section:
    """Index new memories, in batches as the feed gives them, again and again."""
    costs = [_cost_us(options.memories) for _ in range(options.repeats)]
    console.print(f"index alone: {', '.join(f'{cost:.1f}' for cost in costs)} µs a memory")
    verdict = Verdict(
        number="12",
        what="index: µs CPU per memory and replica, alone, five tags",
        value=median(costs),
        bound=BOUND_US,
        goal=GOAL_US,
        at_most=True,
    )
    return Section(name="index", facts={"us": costs}, verdicts=[verdict])


def _records(count: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and records as a store holds them."""
    for number in range(count):
        identity = memory_id("index", number)
        fields = msgspec.json.decode(memory_json(identity))
        fields["tags"] = [f"tag-{random.randrange(200)}" for _ in range(5)]
        fields["agent_id"] = f"agent-{random.randrange(50)}"
        server = {"created_at": NOW_MS + number, "writer": "bench", "guard": None}
        body = join_body(msgspec.msgpack.encode(server), msgspec.json.encode(fields))
        version = make_version(Hlc(hlc_from_ms(NOW_MS + number)), Origin(1))
        record = Record(version=version, op=1, expires_ms=0, flags=0, body=body)
        yield key_of(slot_of(NAMESPACE, identity), NAMESPACE, identity), encode(record, checksum)


def _cost_us(count: int) -> float:
    found = list(_records(count))
    with tempfile.TemporaryDirectory(prefix="spine-bench-", dir="/var/tmp") as name:
        file = IndexFile(Path(name) / "index", str(uuid4()))
        file.make()
        began = time.process_time()
        for first in range(0, count, LIMITS.batch):
            entries = entries_of(found[first : first + LIMITS.batch])
            file.write(entries, first + len(entries))
        used = time.process_time() - began
        file.close()
    return used / count * 1e6
