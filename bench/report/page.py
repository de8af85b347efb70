"""The figures of docs/performance.md, made from the baseline: the page cannot say anything else."""

from pathlib import Path

from bench.closed.samples import median_of
from bench.report.report import Report
from bench.report.verdict import Verdict

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- made by `python -m bench publish` -->\n", "<!-- end -->\n"
NOTHING = "No full run is published yet.\n"


def figures(report: Report | None) -> str:
    """Return the part of the page between the marks."""
    if report is None:
        return NOTHING
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    versions = ", ".join(f"{name} {value}" for name, value in report.versions.items())
    lines = [
        f"{report.date} UTC, mode `{report.mode}`, {len(report.rounds)} rounds. {machine}. {versions}.",
        "",
        "| # | ratio | value | bound | goal | verdict |",
        "|---|---|---|---|---|---|",
        *(f"| {' | '.join(_gate(one))} |" for one in report.verdicts),
        "",
        "| system | operation | an acknowledgement means | model | connections | per second | CPU µs | p50 ms | p99 ms |",
        "|---|---|---|---|---|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in _rows(report)),
    ]
    return "\n".join(lines) + "\n"


def with_figures(page: str, report: Report | None) -> str:
    """Return the page with the figures of a report."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}{figures(report)}{END}{rest.split(END)[1]}"


def _gate(verdict: Verdict) -> list[str]:
    why = f": {verdict.why}" if verdict.why else ""
    return [verdict.number, verdict.what, *verdict.cells[:3], f"{verdict.word}{why}"]


def _rows(report: Report) -> list[list[str]]:
    rows = []
    for key, facts in report.rows.items():
        samples = [found[key] for found in report.rounds if key in found]
        if samples:
            one = median_of(samples)
            p99 = f"{one.p99_ms:.1f}" if one.p99_ms else "-"
            numbers = [f"{one.rate:,.0f}", f"{one.cpu_us:.1f}", f"{one.p50_ms:.1f}", p99]
            first = [facts.system, facts.what, facts.durability, facts.model]
            rows.append([*first, str(facts.connections), *numbers])
    return rows
