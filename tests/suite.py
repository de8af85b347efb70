"""`make test`: every layer of tests, fast ones first, and a table of what each took.

Kubernetes is built in the background meanwhile; the layers that need it wait for it. The exit code
is 0 only when every layer passed.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from localkube.layers import FOLDERS, Layer

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the table: its name, and the command that is run."""

    name: str
    command: tuple[str, ...]

    def run(self) -> tuple[bool, float]:
        """Run it; return whether it passed, and its seconds."""
        sys.stdout.write(f"\n== {self.name}: {' '.join(self.command)}\n")
        sys.stdout.flush()
        began = time.monotonic()
        ended = subprocess.run(self.command, cwd=ROOT, check=False)
        return ended.returncode == 0, time.monotonic() - began


def tests(layer: Layer) -> Run:
    """Return the run of a layer of tests."""
    paths = tuple(f"tests/{folder}" for folder in FOLDERS[layer])
    return Run(layer, (sys.executable, "-m", "pytest", "-q", *paths))


CHECK = Run("check", ("make", "--no-print-directory", "check"))
QUICK = (tests(Layer.PURE), tests(Layer.RECONCILE))
ALL = (CHECK, *map(tests, Layer))


def main() -> int:
    """Run the layers; `quick` asks for the pure ones only."""
    quick = sys.argv[1:] == ["quick"]
    building = None if quick else _start_building()
    rows = [(run.name, *run.run()) for run in (QUICK if quick else ALL)]
    sys.stdout.write("\n")
    for name, passed, seconds in rows:
        sys.stdout.write(f"{name:18} {'passed' if passed else 'FAILED':7} {seconds:7.1f} s\n")
    total = sum(seconds for _, _, seconds in rows)
    sys.stdout.write(f"{'all':18} {'':7} {total:7.1f} s\n")
    if building is not None:
        building.wait()
    failed = [name for name, passed, _ in rows if not passed]
    sys.stdout.write(f"{len(rows) - len(failed)} passed, {len(failed)} failed\n")
    return 1 if failed else 0


def _start_building() -> "subprocess.Popen[bytes]":
    """Build Kubernetes beside the pure layers, at low priority."""
    log = ROOT / "build" / "tools.log"
    log.parent.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        subprocess.run(["make", "--no-print-directory", "setup-root"], cwd=ROOT, check=False)
    with log.open("ab") as out:
        return subprocess.Popen(
            ["nice", "-n", "10", "make", "--no-print-directory", "tools"],
            cwd=ROOT,
            stdout=out,
            stderr=out,
        )


if __name__ == "__main__":
    sys.exit(main())
