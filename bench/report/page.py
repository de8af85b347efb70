"""The figures of docs/performance.md, made from the baseline: the page cannot say anything else."""

from collections.abc import Iterator
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
        "| # | ratio | value | bound | goal | verdict | each round |",
        "|---|---|---|---|---|---|---|",
        *(f"| {' | '.join(_gate(one))} |" for one in report.verdicts),
        "",
        "| system | operation | an acknowledgement means | model | connections | per second | CPU µs | of it by thread, user + system | p50 ms | p99 ms |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in _rows(report)),
        *_latencies(report),
        *_budget(report),
    ]
    return "\n".join(lines) + "\n"


def with_figures(page: str, report: Report | None) -> str:
    """Return the page with the figures of a report."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}{figures(report)}{END}{rest.split(END)[1]}"


def _gate(verdict: Verdict) -> list[str]:
    why = f": {verdict.why}" if verdict.why else ""
    rounds = " ".join(f"{one:.2f}" for one in verdict.rounds)
    return [verdict.number, verdict.what, *verdict.cells[:3], f"{verdict.word}{why}", rounds]


def _latencies(report: Report) -> Iterator[str]:
    """Yield the open loops: each rate that was offered, and what reads and writes took at it."""
    runs = [(name, run) for name, found in report.facts_of("openloop").items() for run in found]
    if runs:
        yield "\n| open loop, 80 % GET, 20 % PUT | offered/s | reads p50 ms | p99 | writes p50 | p99 | errors |"
        yield "|---|---|---|---|---|---|---|"
    for name, run in sorted(runs, key=lambda one: (one[0], one[1]["rate"])):
        times = [run[kind][part] for kind in ("reads", "writes") for part in ("p50", "p99")]
        cells = [name, f"{run['rate']:,.0f}", *(f"{time:.1f}" for time in times)]
        yield f"| {' | '.join(cells)} | {run['errors']} |"


def _budget(report: Report) -> Iterator[str]:
    """Yield what each stage costs by itself."""
    if budget := report.facts_of("budget"):
        yield "\n| budget: stage, alone in a hot loop | CPU µs |"
        yield "|---|---|"
        yield from (f"| {name} | {cost:.1f} |" for name, cost in budget.items())


def _rows(report: Report) -> list[list[str]]:
    rows = []
    for key, facts in report.rows.items():
        samples = [found[key] for found in report.rounds if key in found]
        if samples:
            one = median_of(samples)
            p99 = f"{one.p99_ms:.1f}" if one.p99_ms else "-"
            cost = [f"{one.cpu_us:.1f}", one.by_thread]
            numbers = [f"{one.rate:,.0f}", *cost, f"{one.p50_ms:.1f}", p99]
            first = [facts.system, facts.what, facts.durability, facts.model]
            rows.append([*first, str(facts.connections), *numbers])
    return rows
