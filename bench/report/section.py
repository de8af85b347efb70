"""What one command beside the closed loops found, and how it is printed and kept."""

from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from bench import machine
from bench.report.gate_table import gate_table
from bench.report.verdict import Verdict
from bench.waiting import today

BUILD = Path("build")


class Section(msgspec.Struct, kw_only=True):
    """The result of one command."""

    name: str
    facts: dict[str, Any]
    verdicts: list[Verdict]
    wrong: list[str] = []  # what replicas lack of what they acknowledged


def finish(section: Section, console: Console) -> int:
    """Print and save it as `build/bench-NAME.json`; 1 when acknowledged data is missing."""
    if section.verdicts:
        console.print(gate_table(section.verdicts))
    for finding in section.wrong[:5]:
        console.print(f"[bold red]lost or changed what it acknowledged:[/] {finding}")
    BUILD.mkdir(exist_ok=True)
    path = BUILD / f"bench-{section.name}.json"
    facts = {"date": today(), "machine": machine.describe(), **msgspec.to_builtins(section)}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n")
    console.print(f"{path} has it all")
    return 1 if section.wrong else 0
