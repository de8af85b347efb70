"""`python -m bench races`: what is lost when agents act at once, here and in other libraries."""

import argparse
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.closed.session import data_folder
from bench.growth.clusters import Cluster, clusters
from bench.load.result import LoadResult
from bench.memory import memory_id, memory_json
from bench.openloop.generator import Pace
from bench.races.peers import THREADS, UPDATES
from bench.report.section import Section, finish
from bench.systems.filling import JSON
from bench.systems.postgres import Postgres
from bench.systems.spine import PATH
from bench.systems.system import MissingError
from memory_spine import Draft, Memory, Spine

PYTHON = Path("build") / "races-venv" / "bin" / "python"
PEERS = ("langgraph", "chroma", "mem0")
PATIENCE_S = 180
KILL_AFTER_S, KILL_RUN_S, KILL_RATE = 2.0, 6.0, 300.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--writes", type=int, default=300, help="whose own reads are tried")


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    console = Console(width=160)
    return finish(measure(options, console), console)


def measure(options: argparse.Namespace, console: Console) -> Section:
    """Run our races, then those of the libraries."""
    facts: dict[str, str] = {}
    with clusters({"races": (3, 500)}, console) as [cluster]:
        facts["own writes on every node"] = _own_writes(cluster, options.writes)
        facts["a node killed with SIGKILL under load"], wrong = _killed(cluster)
        facts["concurrent updates, Memory Spine"] = _updates(cluster)
    for peer in PEERS:
        facts[f"concurrent updates, {peer}"] = _peer(peer)
    table = Table(title="races", title_justify="left", show_header=False)
    for name, said in facts.items():
        table.add_row(name, said)
    console.print(table)
    return Section(name="races", facts=facts, verdicts=[], wrong=wrong)


def _own_writes(cluster: Cluster, writes: int) -> str:
    """Write on one node, read at once on both others with the session: none may be stale."""
    spine, stale = cluster.spine, 0
    for number in range(writes):
        identity = memory_id("race", number)
        urls = [f"{url}{PATH}/{identity}" for url in spine.urls]
        body = memory_json(identity)
        wrote = spine.request("PUT", urls[number % 3], body=body, headers=JSON)
        session = {"Spine-Session": wrote.headers["Spine-Session"]}
        for url in urls:
            read = spine.request("GET", url, headers=session)
            stale += read.status != 200 or read.headers["ETag"] != wrote.headers["ETag"]
    result = LoadResult(acknowledged=writes, sent=writes, errors=0, seconds=1, p50_ms=0, p99_ms=0)
    cluster.tally.note(["race"], result)
    return f"{stale} of {writes * 3} reads were stale"


def _updates(cluster: Cluster) -> str:
    """Let threads add one note each to one memory, through all nodes; count what is left."""
    urls = cluster.spine.urls

    def work(thread: int) -> None:
        turned = urls[thread % len(urls) :] + urls[: thread % len(urls)]
        with Spine(turned, namespace="race", timeout=60.0) as spine:
            for number in range(UPDATES):
                spine.memories.mutate("one", partial(_with_note, f"note-{thread}-{number}"))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    with Spine(urls, namespace="race", consistency="strong") as spine:
        notes = spine.memories.get("one").metadata["notes"]
    return f"{len(set(notes))} of {THREADS * UPDATES} updates kept, by mutate through three nodes"


def _with_note(note: str, memory: Memory | None) -> Draft:
    notes = [] if memory is None else memory.metadata["notes"]
    return Draft("notes", metadata={"notes": [*notes, note]})


def _killed(cluster: Cluster) -> tuple[str, list[str]]:
    """Kill a node under an open loop, start it again, and count on every store."""
    spine = cluster.spine
    killer = threading.Timer(KILL_AFTER_S, lambda: spine.nodes[2].stop(signal.SIGKILL))
    killer.start()
    paced = Pace(
        transport="http",
        addresses=[spine.addresses[0], spine.addresses[2]],  # the killed one is a replica only
        rate=KILL_RATE,
        seconds=KILL_RUN_S,
        prefix="killed",
        keys=500,
    ).run()
    killer.join()
    cluster.tally.note((), paced.written(KILL_RUN_S))
    spine.start_node(2)
    spine.ready()
    wrong = spine.verify(cluster.tally)
    said = f"{paced.writes_acknowledged} writes acknowledged, {len(wrong)} findings on the stores"
    return f"{said}; {paced.errors} of {paced.sent} requests failed at the other nodes", wrong


def _peer(name: str) -> str:
    if not PYTHON.exists():
        return "not measured: make bench-races installs it"
    with data_folder() as folder, ExitStack() as ends:
        where = str(folder)
        if name == "langgraph":
            postgres = Postgres(folder)
            ends.callback(postgres.close)
            try:
                postgres.start()
            except MissingError as error:
                return f"not measured: {error}"
            where = f"postgresql://postgres@127.0.0.1:{postgres.port}/postgres"
        command = [str(PYTHON), "-m", "bench.races.peers", name, where]
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "MEM0_TELEMETRY": "False"}
        done = subprocess.run(
            command,
            env={**environment, "MEM0_DIR": str(folder / "mem0")},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
    if done.returncode:
        return f"not measured: {done.stderr.strip().splitlines()[-1][:200]}"
    kept, of, version = done.stdout.split()[-3:]
    return f"{kept} of {of} updates kept, {name} {version}"
