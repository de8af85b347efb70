"""A picture of the gates, and of latency over rate. Needs matplotlib: `make bench-plot` brings it."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from bench.report.report import REPORT, Report, load

COLOURS = {"MISSED": "#c0392b", "met": "#7fb069", "goal": "#2e7d32", "report": "#8d99ae"}


def draw(report: Report, path: Path) -> None:
    """Write a PNG and an SVG."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 6), layout="constrained")
    _gates(left, report)
    _latencies(right, report)
    figure.suptitle(f"Memory Spine, {report.date} UTC, {report.machine.get('cores')} cores")
    for suffix in (".png", ".svg"):
        figure.savefig(
            path.with_suffix(suffix), metadata={"Date": None} if suffix == ".svg" else {}
        )
    plt.close(figure)


def _gates(axes: Axes, report: Report) -> None:
    """Draw each gate as a share of its bound, so that 1 is met whichever way it points."""
    shown = [one for one in report.verdicts if one.value and one.bound]
    for place, one in enumerate(reversed(shown)):
        assert one.value is not None
        assert one.bound is not None
        reached = one.bound / one.value if one.at_most else one.value / one.bound
        axes.barh(place, reached, color=COLOURS[one.word])
        axes.text(reached, place, f" {one.value:.2f}", va="center", fontsize=8)
    axes.set_yticks(range(len(shown)), [f"{one.number}  {one.what}" for one in reversed(shown)])
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("of the bound (right of 1: reached)")
    axes.set_xticks([0.25, 0.5, 1, 2], ["¼", "½", "1", "2"], minor=False)
    axes.minorticks_off()


def _latencies(axes: Axes, report: Report) -> None:
    facts = report.facts_of("openloop")
    for name, runs in facts.items():
        best: dict[float, tuple[float, float]] = {}  # rate → of its runs the one that counts
        for run in runs:
            found = (run["reads"]["p99"], run["writes"]["p99"])
            best[run["rate"]] = min(found, best.get(run["rate"], found))
        rates = sorted(best)
        reads, writes = zip(*(best[rate] for rate in rates), strict=True)
        axes.plot(rates, reads, marker="o", label=f"{name}, reads p99")
        axes.plot(rates, writes, marker=".", linestyle=":", label=f"{name}, writes p99")
    axes.axhline(12, color="black", linewidth=1)
    axes.set_yscale("log")
    axes.set_xlabel("operations/s, 80 % GET, 20 % PUT, open loop")
    axes.set_ylabel("ms, from the intended moment")
    if facts:
        axes.legend(fontsize=8)


def main() -> None:
    """Draw the newest report beside it."""
    report = load(REPORT)
    assert report is not None, f"{REPORT} is not there: run `make bench`"
    draw(report, REPORT)


if __name__ == "__main__":
    main()
