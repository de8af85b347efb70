"""`python -m bench index`: gate 12, CPU of the query index for a memory with five tags, alone."""

import argparse
from statistics import median

from rich.console import Console

from bench.micro_index import index_cost
from bench.report.section import Section, finish
from bench.report.verdict import Verdict

BOUND_US, GOAL_US = 18, 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--memories", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=5)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    console = Console(width=160)
    return finish(measure(options, console), console)


def measure(options: argparse.Namespace, console: Console) -> Section:
    """Index new memories from the feed of a store, again and again."""
    costs = [index_cost(options.memories) for _ in range(options.repeats)]
    console.print(f"index alone: {', '.join(f'{cost:.1f}' for cost in costs)} µs a memory")
    verdict = Verdict(
        number="12",
        what="index: µs CPU per memory and replica, alone, five tags",
        value=median(costs),
        bound=BOUND_US,
        goal=GOAL_US,
        at_most=True,
        rounds=costs,
    )
    return Section(name="index", facts={"us": costs}, verdicts=[verdict])
