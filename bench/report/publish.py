"""`python -m bench publish`: make a report the committed baseline, and write its page.

Do this after a quiet full run only: later quick runs are compared with it.
"""

import argparse
import shutil
from pathlib import Path

from rich.console import Console

from bench.report.page import PAGE, with_figures
from bench.report.report import BASELINE, REPORT, load


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--report", type=Path, default=REPORT, help="the run to publish")


def run(options: argparse.Namespace) -> int:
    """Copy the report, and write the page from it."""
    console = Console()
    report = load(options.report)
    if report is None or report.wrong:
        console.print(f"{options.report}: not there, or something was lost in it")
        return 2
    if options.report != BASELINE:
        shutil.copyfile(options.report, BASELINE)
    PAGE.write_text(with_figures(PAGE.read_text(), report))
    if (picture := REPORT.with_suffix(".svg")).exists():  # `make bench-plot` draws it
        shutil.copyfile(picture, PAGE.with_suffix(".svg"))
    console.print(f"{BASELINE} and {PAGE} are made from {options.report}")
    return 0
