"""`python -m bench rebalance`: a fourth node joins under load; what moves, and what clients notice.

The load is an open loop against the first three nodes, without retries: a client of ours would
repeat what failed here.
"""

import argparse
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from bench.closed.rounds import settle
from bench.growth.clusters import Cluster, clusters
from bench.openloop.generator import Pace
from bench.openloop.schedule import Latencies, Paced
from bench.report.section import Section, finish
from bench.report.verdict import Verdict
from bench.systems.spine import SPINE
from bench.waiting import until
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import Document
from spine_core.topology.placement import Placement

WINDOW_S = 3.0
NODES = 3


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument(
        "--rate", type=float, default=500, help="operations/s, 80 %% GET, 20 %% PUT"
    )


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    console = Console(width=160)
    return finish(measure(options, console), console)


def measure(options: argparse.Namespace, console: Console) -> Section:
    """Load before, load while the node joins, and compare placements."""
    with clusters({"rebalance": (NODES, options.records)}, console) as [cluster]:
        load = _Load(cluster, options)
        load.window()  # warm-up
        before = [load.window() for _ in range(3)]
        old, sizes = _placement(cluster), _slot_sizes(cluster)
        applying = _join(cluster)
        during = [load.window()]
        while applying.poll() is None:
            during.append(load.window())
        if applying.returncode:
            raise OSError(f"spine topology apply: {applying.communicate()[0]!r}")
        moved = _share_moved(old, _placement(cluster), sizes)
        settle(cluster.spine.pids())
        wrong = _check(cluster)
    quiet, busy = _reads(before), _reads(during)
    console.print(
        f"reads p99 {quiet.p99:.1f} ms before, {busy.p99:.1f} ms in {len(during)} windows of"
        f" {WINDOW_S:g} s while the node joined"
    )
    failed = sum(one.errors for one in during)
    verdicts = [
        Verdict(
            number="10",
            what="% of replica data moved, 3 → 4 nodes",
            value=moved * 100,
            bound=28,
            at_most=True,
        ),
        Verdict(
            number="11",
            what="p99 read while rebalancing ÷ before",
            value=busy.p99 / quiet.p99,
            bound=2,
            at_most=True,
        ),
        Verdict(number="11", what="failed requests meanwhile", value=failed, bound=0, at_most=True),
    ]
    facts = {"before": quiet, "during": busy, "windows": len(during)}
    return Section(name="rebalance", facts=facts, verdicts=verdicts, wrong=wrong)


class _Load:
    """Windows of one rate against the first three nodes."""

    def __init__(self, cluster: Cluster, options: argparse.Namespace) -> None:
        self._cluster, self._options = cluster, options
        self._addresses = cluster.spine.addresses
        self._count = 0

    def window(self) -> Paced:
        self._count += 1
        paced = Pace(
            transport="http",
            addresses=self._addresses,
            rate=self._options.rate,
            seconds=WINDOW_S,
            prefix=f"w{self._count}",
            keys=self._options.records,
            keep=True,
        ).run()
        self._cluster.tally.note((), paced.written(WINDOW_S))
        return paced


def _reads(windows: list[Paced]) -> Latencies:
    return Latencies.of([one for window in windows for one in window.read_times_s])


def _join(cluster: Cluster) -> "subprocess.Popen[bytes]":
    """Start the fourth node, and the command that brings it in."""
    spine = cluster.spine
    spine.describe(NODES + 1)
    spine.start_node(NODES + 1)
    until("the new node shows its empty store", lambda: spine.reports(NODES + 1))
    command: list[str | Path] = [SPINE, "topology", "apply", "--cluster", spine.file]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _document(cluster: Cluster) -> Document:
    store = str(cluster.spine.admin(1, "status")["store"]["id"])
    return Document.from_json(cluster.spine.admin(1, "topology", store))


def _placement(cluster: Cluster) -> Placement:
    return Placement(_document(cluster))


def _slot_sizes(cluster: Cluster) -> Mapping[int, int]:
    """Return records by slot: with as many nodes as replicas, each node has them all."""
    slots = cluster.spine.admin(1, "status?slots=1")["slots"]
    return {int(slot): int(size[0]) for slot, size in slots.items()}


def _share_moved(old: Placement, new: Placement, sizes: Mapping[int, int]) -> float:
    """Return the records that went to a store that did not hold them, as a share of all copies."""
    total = moved = 0
    for slot, size in sizes.items():
        before = set(old.current(Slot(slot)))
        after: set[StoreNumber] = set(new.current(Slot(slot)))
        moved += size * len(after - before)
        total += size * len(after)
    return moved / total


def _check(cluster: Cluster) -> list[str]:
    """Count every record on each store that the new placement gives it, once the last have come."""
    with suppress(TimeoutError):  # what is missing then is named below
        until("all copies are there", lambda: not _wrong_counts(cluster))
    return _wrong_counts(cluster)


def _wrong_counts(cluster: Cluster) -> list[str]:
    placement, spine = _placement(cluster), cluster.spine
    held = 0
    for number in spine.nodes:
        status = spine.admin(number, "status?slots=1")
        mine = placement.slots_of(StoreNumber(status["store"]["number"]))
        held += sum(int(n[0]) for slot, n in status["slots"].items() if int(slot) in mine)
    least, most = (n * spine.replicas for n in (cluster.tally.acknowledged, cluster.tally.sent))
    if least <= held <= most:
        return []
    return [f"{held} copies on their stores, at least {least} acknowledged, {most} sent"]
