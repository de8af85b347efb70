"""The report: tables for people, JSON for machines, and the comparison with the baseline."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench.closed.samples import Sample, median_of
from bench.report.gate_table import gate_table
from bench.report.verdict import Verdict

BASELINE = Path(__file__).parents[1] / "baseline.json"
REPORT = Path("build") / "bench.json"


class RowFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in every row."""

    system: str
    what: str
    durability: str
    replicas: int
    model: str
    connections: int
    value_bytes: int


class Report(msgspec.Struct, kw_only=True):
    """Everything that one run found."""

    date: str
    mode: str  # full, quick or smoke
    machine: dict[str, Any]
    versions: dict[str, str]
    rows: dict[str, RowFacts]
    rounds: list[dict[str, Sample]]
    missing: dict[str, str]  # row → why
    wrong: dict[str, list[str]]  # system → what its replicas lack
    verdicts: list[Verdict]
    sections: dict[str, dict[str, Any]] = {}  # command → what else it found

    def facts_of(self, section: str) -> dict[str, Any]:
        """Return what a command found, nothing if it did not run."""
        facts: dict[str, Any] = self.sections.get(section, {}).get("facts", {})
        return facts


def load(path: Path) -> Report | None:
    """Return a report from a file, None when there is none."""
    return msgspec.json.decode(path.read_bytes(), type=Report) if path.exists() else None


def save(report: Report, path: Path) -> None:
    """Write a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def show(report: Report, console: Console, baseline: Report | None = None) -> None:
    """Print rows and gates."""
    console.print(_rows(report))
    console.print(gate_table(report.verdicts, baseline.verdicts if baseline else ()))
    for system, findings in report.wrong.items():
        for finding in findings[:5]:
            console.print(f"[bold red]{system} lost or changed what it acknowledged:[/] {finding}")
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    versions = ", ".join(f"{name} {value}" for name, value in report.versions.items())
    console.print(f"{report.date} UTC; {machine}\n{versions}", highlight=False)


def _rows(report: Report) -> Table:
    table = Table(title=f"medians of {len(report.rounds)} rounds", title_justify="left")
    for name in ("system", "operation", "an acknowledgement means", "model"):
        table.add_column(name)
    for name in ("conns", "items/s", "CPU µs", "of it sys", "p50 ms", "p99 ms"):
        table.add_column(name, justify="right")
    table.add_column("by thread: user + sys")
    for key, facts in report.rows.items():
        samples = [found[key] for found in report.rounds if key in found]
        first = (facts.system, facts.what, facts.durability, facts.model, str(facts.connections))
        if samples:
            table.add_row(*first, *_numbers(median_of(samples)))
    for key, why in report.missing.items():
        table.add_row(key, "[yellow]not measured[/]", f"[yellow]{why}[/]")
    return table


def _numbers(sample: Sample) -> Sequence[str]:
    return (
        f"{sample.rate:,.0f}" + (f" [red]({sample.errors} errors)[/]" if sample.errors else ""),
        f"{sample.cpu_us:.1f}",
        f"{sample.system_us:.1f}",
        f"{sample.p50_ms:.1f}",
        f"{sample.p99_ms:.1f}" if sample.p99_ms else "-",
        sample.by_thread,
    )
