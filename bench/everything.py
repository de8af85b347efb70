"""`python -m bench all`: every gate into one report, `build/bench.json`.

The closed loops come first; each other command then runs with the options of the mode, and its
verdicts join theirs. In mode `quick` what needs many records or nodes is left out or made small.
"""

import argparse
from importlib import import_module
from pathlib import Path

import msgspec
from rich.console import Console

from bench.closed import command as closed
from bench.report.report import BASELINE, REPORT, Report, load, save, show
from bench.report.section import Section

MODES: dict[str, dict[str, list[str]]] = {  # command → its options
    "full": {
        "index_cost": [],
        "openloop": ["--seconds", "5"],
        "rebalance": [],
        "sizes": ["--records", "200000", "--rounds", "3", "--seconds", "4"],
        "batches": ["--rounds", "2"],
        "restart": ["--records", "50000"],
        "races": [],
        "budget": [],
    },
    "quick": {
        "index_cost": [],
        "openloop": ["--seconds", "2", "--nodes", "3", "--first", "1500", "--tries", "1"],
        "rebalance": ["--records", "3000", "--rate", "300"],
    },
}
MODULES = {
    "index_cost": "bench.alone.index_cost",
    "openloop": "bench.openloop.command",
    "rebalance": "bench.growth.rebalance",
    "sizes": "bench.growth.sizes",
    "batches": "bench.growth.batches",
    "restart": "bench.growth.restart",
    "races": "bench.races.command",
    "budget": "bench.alone.budget",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--mode", choices=MODES, default="full")
    parser.add_argument("--out", type=Path, default=REPORT, help="where the JSON goes")
    parser.add_argument("--baseline", type=Path, default=BASELINE, help="a report to compare with")


def run(options: argparse.Namespace) -> int:
    """Measure all, print and save; 1 when we lost what we had acknowledged."""
    console = Console(width=200)
    given = _options(closed, ["--mode", options.mode])
    report = closed.measure(given, console)
    for name, words in MODES[options.mode].items():
        console.rule(name)
        module = import_module(MODULES[name])
        join(report, module.measure(_options(module, words), console))
        save(report, options.out)  # what is there survives what comes
    show(report, console, load(options.baseline))
    console.print(f"{options.out} has it all")
    return 1 if any(name.startswith("spine") for name in report.wrong) else 0


def join(report: Report, section: Section) -> None:
    """Take a section's verdicts and facts into the report."""
    report.verdicts += section.verdicts
    report.sections[section.name] = msgspec.to_builtins(section)
    if section.wrong:
        report.wrong[f"spine, {section.name}"] = section.wrong


def _options(module: object, words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    module.arguments(parser)  # type: ignore[attr-defined]
    return parser.parse_args(words)
