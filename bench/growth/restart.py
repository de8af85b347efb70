"""`python -m bench restart`: seconds until a node serves again, and its memory, with N records."""

import argparse
import signal
import time

from rich.console import Console

from bench.growth.clusters import Cluster, clusters
from bench.processes import resident_bytes
from bench.report.section import Section, finish

SIGNALS = (signal.SIGTERM, signal.SIGKILL)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--records", type=int, default=100_000)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    console = Console(width=160)
    return finish(measure(options, console), console)


def measure(options: argparse.Namespace, console: Console) -> Section:
    """Stop one of three nodes kindly, then kill it; start it each time."""
    facts: dict[str, float] = {"records": options.records}
    with clusters({"restart": (3, options.records)}, console) as [cluster]:
        facts["resident_mib"] = _resident_mib(cluster)
        for number in SIGNALS:
            facts[f"ready_s_after_{number.name}"] = _restart(cluster, number)
        facts["resident_mib_after"] = _resident_mib(cluster)
        wrong = cluster.spine.verify(cluster.tally)
    for name, value in facts.items():
        console.print(f"{name:24} {value:12,.2f}", highlight=False)
    return Section(name="restart", facts=facts, verdicts=[], wrong=wrong)


def _resident_mib(cluster: Cluster) -> float:
    return max(resident_bytes(pid) for pid in cluster.spine.pids()) / 2**20


def _restart(cluster: Cluster, number: signal.Signals) -> float:
    cluster.spine.nodes[2].stop(number)
    began = time.monotonic()
    cluster.spine.start_node(2)
    cluster.spine.ready()
    return time.monotonic() - began
