"""`python -m bench budget`: what each stage of a PUT and a GET costs by itself, and what is left over.

Hot loops in one process: in a node the same code is two to three times as dear, with cold caches
and processes that share cores. The rest of the measured whole is sockets, the HTTP parser, the event
loop and its turns. A stage is one line of `_stages`; adapt it when the path changes.
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench.alone.app_cost import app_costs_us
from bench.alone.store_cost import put_costs_us
from bench.memory import NAMESPACE, memory_id, memory_json
from bench.micro_index import index_cost
from bench.report.report import REPORT, load
from bench.report.section import Section, finish
from spine_core.records.encoding import Record, decode, encode, join_body
from spine_core.records.hlc import HybridClock
from spine_core.records.ids import key_hash, slot_of
from spine_core.records.sessions import Session, open_session, seal_session
from spine_core.records.versions import make_version
from spine_core.scalars import HLC_ZERO, Hlc, Origin
from spine_node.http import bodies, render
from spine_node.links.frames import Outbox, call_messages, calls_in
from spine_node.server_fields import ServerFields, pack_server_fields
from spine_node.store import checksum, key_of
from spine_node.store.operations import PutRecord

LOOPS, REPEATS = 2000, 5
NOW_MS = 1_700_000_000_000
KEY = b"k" * 32


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--memories", type=int, default=2000, help="that the store and index take")


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    console = Console(width=160)
    return finish(measure(options, console), console)


def measure(options: argparse.Namespace, console: Console) -> Section:
    """Time every stage."""
    around = asyncio.run(app_costs_us())
    facts: dict[str, Any] = {
        f"{method[0]}  HTTP around the engine, without parser and socket": cost
        for method, cost in around.items()
    }
    facts |= {name: _us(stage) for name, stage in _stages().items()}
    stores = asyncio.run(put_costs_us(options.memories))
    facts |= {f"store put, {size} a commit": cost for size, cost in stores.items()}
    facts["index, one replica"] = median(index_cost(options.memories) for _ in range(3))
    table = Table(title="budget, µs of CPU", title_justify="left")
    table.add_column("stage")
    table.add_column("µs", justify="right")
    for name, cost in facts.items():
        table.add_row(name, f"{cost:.1f}")
    for name, cost in _sums(facts).items():
        table.add_row(name, f"{cost:.1f}", style="bold")
    console.print(table)
    return Section(name="budget", facts=facts | _sums(facts), verdicts=[])


def _us(stage: Callable[[], object]) -> float:
    """Return the CPU of a call, the median of some loops."""
    costs = []
    for _ in range(REPEATS):
        began = time.process_time()
        for _ in range(LOOPS):
            stage()
        costs.append((time.process_time() - began) / LOOPS * 1e6)
    return median(costs)


def _stages() -> dict[str, Callable[[], object]]:
    """Return the stages; those of a PUT begin with P, of a GET with G.

    What stands in brackets is part of the HTTP around the engine, and is not added up.
    """
    identity, hlc = memory_id("budget", 1), HybridClock()
    raw_body = memory_json(identity).encode()
    memory = bodies.decode_put(raw_body, NAMESPACE, identity)
    kept = bodies.kept_json(memory)
    server = ServerFields(created_at=NOW_MS, writer="anonymous")
    version = make_version(Hlc(NOW_MS << 20), Origin(1))
    record = Record(version=version, op=1, body=join_body(pack_server_fields(server), kept))
    raw = encode(record, checksum)
    slot = slot_of(NAMESPACE, identity)
    put = msgspec.msgpack.encode(PutRecord(key_of(slot, NAMESPACE, identity), slot, raw))
    session = Session().wrote(key_hash(NAMESPACE, identity), version)
    token = seal_session(session, KEY)

    def frames() -> None:
        outbox = Outbox()
        outbox.add(1, "put", 1, 1000, msgspec.Raw(put))
        for message in call_messages(outbox.take(HLC_ZERO)):
            calls_in(message)

    return {
        "P  (decode and check the body)": lambda: bodies.decode_put(raw_body, NAMESPACE, identity),
        "P  (kept JSON)": lambda: bodies.kept_json(memory),
        "P  slot, key, key hash": lambda: (
            key_of(slot_of(NAMESPACE, identity), NAMESPACE, identity),
            key_hash(NAMESPACE, identity),
        ),
        "P  stamp": lambda: make_version(hlc.tick(NOW_MS), Origin(1)),
        "P  record": lambda: encode(
            Record(version=version, op=1, body=join_body(pack_server_fields(server), kept)),
            checksum,
        ),
        "P  a call in a frame of its own, there and read": frames,
        "PG (open the token of a session)": lambda: open_session(token, (KEY,)),
        "PG (seal the token of the answer)": lambda: seal_session(session, KEY),
        "G  slot, key": lambda: key_of(slot_of(NAMESPACE, identity), NAMESPACE, identity),
        "G  decode the record": lambda: decode(raw, checksum),
        "PG (render)": lambda: render.memory_json(NAMESPACE, identity, record, embedding=False),
    }


def _sums(facts: dict[str, Any]) -> dict[str, float]:
    """Add up a PUT over three replicas, and an eventual GET; put the measured whole beside them."""
    stages = {name: cost for name, cost in facts.items() if "(" not in name}
    per_put = sum(cost for name, cost in stages.items() if name[0] == "P")
    store, index = facts["store put, 16 a commit"], facts["index, one replica"]
    sums = {
        "sum of a PUT: P, two calls, three stores at 16 a commit, three indexes": per_put
        + facts["P  a call in a frame of its own, there and read"]
        + 3 * (store + index),
        "sum of an eventual GET": sum(cost for name, cost in stages.items() if name[0] == "G"),
    }
    if (report := load(REPORT)) is not None:
        for key in ("put", "get"):
            found = [one[key].cpu_us for one in report.rounds if key in one]
            if found:
                sums[f"measured whole of a {key.upper()}, newest report"] = median(found)
    return sums
