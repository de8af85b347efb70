"""How many worlds it takes to notice that a safety rule is gone: `python -m simulation.worlds.power`.

Each mutant of registers, writes and reads is made in a copy of the tree, and worlds run on it until
one fails.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mutants import reading, registers, writing
from mutants.mutant import Mutant
from simulation.cluster import MEMORY

ROOT = Path(__file__).parents[3]
MUTANTS = [*registers.MUTANTS, *writing.MUTANTS, *reading.MUTANTS]


def noticed_by(mutant: Mutant, copy: Path, seconds: float) -> tuple[str, str]:
    """Return which world notices that a rule is gone, "-" for none, and what it says."""
    file = copy / mutant.file
    intact = file.read_text(encoding="utf-8")
    if mutant.places(intact) != 1:
        return "?", "the rule does not stand there"
    file.write_text(mutant.applied(intact), encoding="utf-8")
    folders = ("tests", "tests/support", "node_image", "operator", "client")
    words = ("--count", "10000", "--seconds", str(seconds), "--stop")
    ended = subprocess.run(
        [sys.executable, "-m", "simulation.worlds", *words],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": ":".join(str(copy / folder) for folder in folders)},
        capture_output=True,
        text=True,
        check=False,
    )
    file.write_text(intact, encoding="utf-8")
    worlds = len(re.findall("^seed ", ended.stdout, re.MULTILINE))
    failed = re.search(r"^seed (\d+): (\w+Error.*)$", ended.stdout, re.MULTILINE)
    return (str(worlds), failed[2][:100]) if failed else ("-", f"{worlds} worlds")


def main() -> None:
    """Print a row for each rule."""
    parser = argparse.ArgumentParser(description="Remove safety rules, and count worlds.")
    parser.add_argument("--seconds", type=float, default=15.0, help="for each rule")
    parser.add_argument("--every", type=int, default=1, help="take each n-th rule")
    asked = parser.parse_args()
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        copy = Path(directory) / "tree"
        ignored = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", "docs", "charts")
        shutil.copytree(ROOT, copy, ignore=ignored)
        for mutant in MUTANTS[:: asked.every]:
            worlds, said = noticed_by(mutant, copy, asked.seconds)
            rule = " ".join(mutant.old.split())[:70]
            sys.stdout.write(f"{worlds:>3} | {Path(mutant.file).stem}: {rule} | {said}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
