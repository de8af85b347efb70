"""`python -m bench batches`: memories a second and CPU per memory by the size of a batch."""

import argparse

from rich.console import Console
from rich.table import Table

from bench.closed.rounds import Plan, Rounds
from bench.closed.rows import BATCH_CONNECTIONS, PUT, THREADS, Row
from bench.closed.samples import Sample, median_of
from bench.growth.clusters import clusters
from bench.load.wrk import Wrk
from bench.report.section import Section, finish

IN_FLIGHT = 1200  # memories


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--sizes", default="1,5,20,50,100,200,500", help="with commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of one size in one round")


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    console = Console(width=160)
    return finish(measure(options, console), console)


def measure(options: argparse.Namespace, console: Console) -> Section:
    """Run all sizes in random order in each round."""
    sizes = [int(size) for size in options.sizes.split(",")]
    plan = Plan(rounds=options.rounds, seconds=options.seconds, warm_up_s=0)
    with clusters({"batches": (3, 1000)}, console) as [cluster]:
        spine = cluster.spine
        rounds = Rounds(plan, _silent, tallies={spine.name: cluster.tally})
        rounds.run(
            [
                Row(
                    *(str(size), f"batch of {size}", "W=2 of 3", spine),
                    Wrk(
                        *("batch.lua", spine.addresses, _connections(size)),
                        {**PUT, "ITEMS": str(size)},
                        size,
                    ),
                    writers=THREADS,
                )
                for size in sizes
            ]
        )
        wrong = spine.verify(cluster.tally)
    found = {size: median_of([one[str(size)] for one in rounds.found]) for size in sizes}
    console.print(_table(found))
    facts = {str(size): sample for size, sample in found.items()}
    return Section(name="batches", facts=facts, verdicts=[], wrong=wrong)


def _connections(size: int) -> int:
    """Return how many: the largest batches take seconds when too many memories are in flight."""
    return max(len(THREADS), min(BATCH_CONNECTIONS, IN_FLIGHT // size))


def _silent(number: int, row: Row, sample: Sample) -> None:
    """Say nothing: the table says it."""


def _table(found: dict[int, Sample]) -> Table:
    table = Table(title="batches", title_justify="left")
    for name in ("size", "connections", "memories/s", "CPU µs a memory", "p50 ms", "p99 ms"):
        table.add_column(name, justify="right")
    for size, one in found.items():
        cells = (f"{one.rate:,.0f}", f"{one.cpu_us:.1f}", f"{one.p50_ms:.1f}", f"{one.p99_ms:.1f}")
        table.add_row(str(size), str(_connections(size)), *cells)
    return table
