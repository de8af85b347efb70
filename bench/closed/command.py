"""`python -m bench closed`: our rows and the peers' side by side, the gates over them."""

import argparse
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from bench.closed.rounds import Plan
from bench.closed.session import PEERS, Session, data_folder
from bench.report.report import BASELINE, REPORT, Report, load, save, show

PLANS = {
    "full": (Plan(rounds=5, seconds=8, warm_up_s=1), 10_000),
    "quick": (Plan(rounds=3, seconds=3, warm_up_s=1), 5_000),
    "smoke": (Plan(rounds=1, seconds=1, warm_up_s=0), 500),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--mode", choices=PLANS, default="full", help="how long and how often")
    parser.add_argument("--rounds", type=int, help="other than the mode's")
    parser.add_argument("--seconds", type=int, help="of one row in one round")
    parser.add_argument("--rows", help="only these keys, with commas: put,get,etcd-put")
    parser.add_argument("--peers", default=",".join(PEERS), help="only these systems beside ours")
    parser.add_argument("--out", type=Path, default=REPORT, help="where the JSON goes")
    parser.add_argument("--baseline", type=Path, default=BASELINE, help="a report to compare with")


def run(options: argparse.Namespace) -> int:
    """Measure, print and save; 1 when we lost what we had acknowledged."""
    console = Console(width=200, soft_wrap=False)
    report = measure(options, console)
    save(report, options.out)
    show(report, console, load(options.baseline))
    console.print(f"{options.out} has every round")
    return 1 if "spine" in report.wrong else 0


def measure(options: argparse.Namespace, console: Console) -> Report:
    """Run the mode's plan, or what the options make of it."""
    plan, records = PLANS[options.mode]
    plan = Plan(options.rounds or plan.rounds, options.seconds or plan.seconds, plan.warm_up_s)
    with data_folder() as folder, ExitStack() as ends:
        session = Session(console, folder, records)
        session.start(ends, options.peers.split(","))
        if options.rows:
            session.rows = [row for row in session.rows if row.key in options.rows.split(",")]
        return session.measure(plan, options.mode)
