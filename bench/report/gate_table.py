"""The table of gates, for a terminal."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from bench.report.verdict import Verdict

STYLES = {"MISSED": "bold red", "not measured": "yellow", "goal": "bold green", "met": "green"}


def gate_table(verdicts: Sequence[Verdict], baseline: Sequence[Verdict] = ()) -> Table:
    """Return the table of gates; with a baseline, how much of it the values are."""
    table = Table(title="gates", title_justify="left")
    for name in ("#", "ratio"):
        table.add_column(name)
    for name in ("value", "bound", "goal"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    before: Mapping[str, float | None] = {}
    if baseline:
        table.add_column("÷ baseline", justify="right")
        before = {one.what: one.value for one in baseline}
    for verdict in verdicts:
        style = STYLES.get(verdict.word, "")
        then = before.get(verdict.what)
        change = f"{verdict.value / then:.2f}" if verdict.value is not None and then else ""
        cells = [verdict.number, verdict.what, *verdict.cells]
        if verdict.why:
            cells[-1] += f": {verdict.why}"
        table.add_row(*cells, *([change] if baseline else []), style=style)
    return table
