"""`python -m bench growth`: cost per operation with more records, and with more nodes.

Both sizes run at once and alternate, so a ratio is of one machine at one time. On two cores more
nodes cannot give more capacity; CPU per operation says what they would give on more.
"""

import argparse

from rich.console import Console

from bench.closed.rounds import Plan
from bench.growth.clusters import capacity_ratio, clusters, cpu_ratio
from bench.growth.clusters import measure as measure_clusters
from bench.report.section import Section, finish
from bench.report.verdict import Verdict

FEW = 10_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "--records", type=int, default=1_000_000, help="of the larger; 0: leave out"
    )
    parser.add_argument("--nodes", default="3,4", help="sizes to compare with the first")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of one row in one round")


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    console = Console(width=160)
    return finish(measure(options, console), console)


def measure(options: argparse.Namespace, console: Console) -> Section:
    """Compare nodes, then records."""
    section = Section(name="growth", facts={}, verdicts=[])
    plan = Plan(rounds=options.rounds, seconds=options.seconds, warm_up_s=1)
    counts = [int(count) for count in options.nodes.split(",")]
    if len(counts) > 1:
        _nodes(counts, plan, console, section)
    if options.records:
        _records(options.records, plan, console, section)
    return section


def _nodes(counts: list[int], plan: Plan, console: Console, section: Section) -> None:
    sizes = {f"{count} nodes": (count, 2000) for count in counts}
    with clusters(sizes, console) as running:
        rounds, wrong = measure_clusters(running, plan, console)
    section.wrong += wrong
    section.facts["nodes"] = rounds.found
    first, *others = sizes
    for name in others:
        gate = name == "4 nodes" and first == "3 nodes"
        cpu = cpu_ratio(rounds, name, first)
        what = f"{name} ÷ {first}, 80 % GET, 20 % PUT"
        section.verdicts += [
            Verdict(
                number="9",
                what=f"CPU per operation, {what}",
                value=cpu,
                bound=1.05 if gate else None,
                at_most=True,
            ),
            Verdict(
                number="9", what=f"capacity, {what}", value=capacity_ratio(rounds, name, first)
            ),
        ]


def _records(count: int, plan: Plan, console: Console, section: Section) -> None:
    many = f"{count:,}"
    few = f"{min(FEW, count):,}"
    with clusters({few: (3, min(FEW, count)), f"{many} ": (3, count)}, console) as running:
        rounds, wrong = measure_clusters(running, plan, console)
    section.wrong += wrong
    section.facts["records"] = rounds.found
    section.verdicts.append(
        Verdict(
            number="13",
            what=f"CPU per operation, {many} ÷ {few} records, 80 % GET, 20 % PUT",
            value=cpu_ratio(rounds, f"{many} ", few),
            bound=1.3,
            at_most=True,
        )
    )
