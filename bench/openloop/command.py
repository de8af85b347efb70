"""`python -m bench openloop`: latency at rising rates, and the highest rate that stays below 12 ms.

80 % GET (eventual), 20 % PUT, on a constant schedule, latency from the intended moment, reads and
writes apart; the client's work is on the same machine.
"""

import argparse
from contextlib import ExitStack
from dataclasses import dataclass

from rich.console import Console

from bench.closed.rounds import settle
from bench.closed.session import data_folder
from bench.load.spine_link import missing as link_missing
from bench.openloop.generator import Pace
from bench.openloop.schedule import Paced
from bench.openloop.search import READ_P99_MS, TRIES, Search
from bench.report.section import Section, finish
from bench.report.verdict import Verdict
from bench.systems.filling import fill
from bench.systems.spine import SpineCluster
from bench.systems.system import Tally

LIMITS = {"http": (5_000, 8_000), "link": (10_000, 15_000)}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--seconds", type=float, default=5, help="of each rate")
    parser.add_argument("--first", type=float, default=1000, help="the lowest rate")
    parser.add_argument("--most", type=float, default=40_000, help="the highest rate")
    parser.add_argument("--records", type=int, default=5000, help="memories that are read")
    parser.add_argument("--tries", type=int, default=TRIES, help="one of which has to hold")
    parser.add_argument("--nodes", default="3,4", help="sizes of the cluster, with commas")


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    console = Console(width=160)
    return finish(measure(options, console), console)


def measure(options: argparse.Namespace, console: Console) -> Section:
    """Search the highest rate of each cluster and transport."""
    section = Section(name="openloop", facts={}, verdicts=[])
    for count in map(int, options.nodes.split(",")):
        with data_folder() as folder, ExitStack() as ends:
            spine = SpineCluster(folder, count)
            ends.callback(spine.close)
            spine.start()
            tally = Tally()
            fill(spine, tally, options.records)
            for transport in LIMITS:
                _one(_Place(spine, tally, console, transport), options, section)
            section.wrong += spine.verify(tally)
    return section


@dataclass(frozen=True, slots=True)
class _Place:
    spine: SpineCluster
    tally: Tally
    console: Console
    transport: str

    def paced(self, rate: float, options: argparse.Namespace, number: int) -> Paced:
        """Run one rate, tally what it wrote, and let the nodes finish."""
        prefix = f"{self.transport[0]}{number}"
        paced = Pace(
            transport=self.transport,
            addresses=self.spine.addresses,
            rate=rate,
            seconds=options.seconds,
            prefix=prefix,
            keys=options.records,
        ).run()
        self.tally.note((), paced.written(options.seconds))
        settle(self.spine.pids())
        reads, writes = paced.reads, paced.writes
        self.console.print(
            f"{len(self.spine.nodes)} nodes {self.transport} {rate:8,.0f}/s"
            f"  reads p50 {reads.p50:7.1f} p99 {reads.p99:7.1f}  writes p50 {writes.p50:7.1f}"
            f" p99 {writes.p99:7.1f} ms  errors {paced.errors}",
            highlight=False,
        )
        return paced


def _one(place: _Place, options: argparse.Namespace, section: Section) -> None:
    count, transport = len(place.spine.nodes), place.transport
    bound, goal = LIMITS[transport] if count == 3 else (None, None)
    what = f"operations/s with read p99 < {READ_P99_MS:g} ms, {count} nodes, {transport}"
    why = link_missing() if transport == "link" else None
    value = None
    if why is None:
        place.paced(options.first, options, 99)  # warm-up: connections, caches
        search = Search(
            lambda rate: place.paced(rate, options, len(search.seen)), tries=options.tries
        )
        value = search.highest(options.first, options.most)
        section.facts[f"{transport}-{count}"] = search.seen
    section.verdicts.append(
        Verdict(number="H", what=what, value=value, bound=bound, goal=goal, why=why or "")
    )
