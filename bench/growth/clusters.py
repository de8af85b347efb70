"""Clusters of different sizes that run at once, so that each round measures all of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console

from bench.closed.rounds import Plan, Rounds, settle
from bench.closed.rows import CONNECTIONS, PUT, Row
from bench.closed.samples import Sample
from bench.closed.session import data_folder
from bench.load.wrk import Wrk
from bench.systems.filling import fill, request_files
from bench.systems.spine import SpineCluster
from bench.systems.system import Tally

READS, WRITES = 0.8, 0.2  # the mix that costs are weighed with


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster and what was put into it."""

    name: str
    spine: SpineCluster
    tally: Tally
    files: Mapping[str, Path]


@contextmanager
def clusters(sizes: Mapping[str, tuple[int, int]], console: Console) -> Iterator[list[Cluster]]:
    """Yield running clusters: name → nodes and records."""
    with data_folder() as folder, ExitStack() as ends:
        running = []
        for name, (nodes, records) in sizes.items():
            root = folder / name
            root.mkdir()
            spine = SpineCluster(root, nodes, name=f"spine-{name}")
            ends.callback(spine.close)
            spine.start()
            tally = Tally()
            console.print(f"{name}: fill {nodes} nodes with {records:,} memories")
            fill(spine, tally, records)
            files = request_files(spine, tally, records, root)
            settle(spine.pids())
            running.append(Cluster(name, spine, tally, files))
        yield running


def rows_of(cluster: Cluster) -> list[Row]:
    """Return an eventual GET and a PUT of this cluster; each node has a thread of `wrk`."""
    nodes, spine = cluster.spine.addresses, cluster.spine
    threads = [str(number) for number in range(1, len(nodes) + 1)]
    get = Wrk("get.lua", nodes, CONNECTIONS, {"REQUESTS": str(cluster.files["eventual"])})
    put = Wrk("put.lua", nodes, CONNECTIONS, PUT)
    return [
        Row(f"get {cluster.name}", "GET, HTTP", "eventual", spine, get),
        Row(f"put {cluster.name}", "PUT, HTTP", "W=2 of 3", spine, put, writers=threads),
    ]


def measure(running: Sequence[Cluster], plan: Plan, console: Console) -> tuple[Rounds, list[str]]:
    """Run all rows of all clusters; return the rounds, and what replicas lack."""

    def say(number: int, row: Row, sample: Sample) -> None:
        console.print(
            f"round {number} {row.key:16} {sample.rate:10,.0f}/s {sample.cpu_us:8.1f} µs CPU"
            f"  errors {sample.errors}",
            highlight=False,
        )

    rounds = Rounds(plan, say, tallies={one.spine.name: one.tally for one in running})
    rounds.run([row for one in running for row in rows_of(one)])
    wrong = [finding for one in running for finding in one.spine.verify(one.tally)]
    return rounds, wrong


def cpu_ratio(rounds: Rounds, ours: str, theirs: str) -> float:
    """Return the median ratio of CPU per operation of two clusters, 80 % GET and 20 % PUT."""
    return median(_mixed_us(found, ours) / _mixed_us(found, theirs) for found in rounds.found)


def _mixed_us(found: Mapping[str, Sample], name: str) -> float:
    return READS * found[f"get {name}"].cpu_us + WRITES * found[f"put {name}"].cpu_us


def capacity_ratio(rounds: Rounds, ours: str, theirs: str) -> float:
    """Return the median ratio of the rates at which the mix would run."""
    return median(_mixed_rate(found, ours) / _mixed_rate(found, theirs) for found in rounds.found)


def _mixed_rate(found: Mapping[str, Sample], name: str) -> float:
    return 1 / (READS / found[f"get {name}"].rate + WRITES / found[f"put {name}"].rate)
