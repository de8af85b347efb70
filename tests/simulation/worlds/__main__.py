"""`make sim SEEDS=100`: worlds of consecutive seeds, and what they showed; FROM=7 begins at seed 7.

A failing world prints what replays it, and is made smaller: steps and faults without which it still
fails are left out.
"""

import argparse
import logging
import os
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from simulation.cluster import MEMORY
from simulation.loop import VirtualLoop
from simulation.worlds.run import Outcome, live
from simulation.worlds.shrink import shrunk
from simulation.worlds.world import World, draw


@dataclass(slots=True)
class Sums:
    """What all worlds together came to."""

    totals: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    failed: list[int] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count a world that has kept all promises."""
        events = outcome.history.events
        self.totals["worlds"] += 1
        self.totals["operations"] += len(events)
        self.totals["acknowledged writes"] += sum(
            event.is_write and event.outcome == "ok" for event in events
        )
        self.totals["faults"] += outcome.faults.total()
        self.totals["epochs"] += outcome.epochs
        self.totals["unknown"] += outcome.unknown
        self.rules += outcome.reached
        self.faults += outcome.faults

    def show(self) -> None:
        """Print them."""
        for name, counts in (("", self.totals), ("faults", self.faults), ("rules", self.rules)):
            say(f"{name} " + ", ".join(f"{key}: {count}" for key, count in sorted(counts.items())))
        say(f"violations {len(self.failed)} {self.failed}")


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def lived(world: World) -> Outcome:
    """Let a world live on a loop and disk of its own."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        loop = VirtualLoop()
        try:
            return loop.run_until_complete(live(world, Path(directory)))
        finally:
            loop.close()


def failure_of(world: World) -> str | None:
    """Return what a world breaks, None when all promises are kept."""
    try:
        lived(world)
    except Exception as error:  # noqa: BLE001 - whatever a world breaks is reported with its seed
        return f"{type(error).__name__}: {error}"
    return None


def main() -> int:
    """Run worlds; the exit status says whether one of them has failed."""
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets of strings must have one order
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "simulation.worlds", *sys.argv[1:]])
    parser = argparse.ArgumentParser(description="Let simulated worlds live, and check them.")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no world after so long")
    parser.add_argument("--stop", action="store_true", help="stop at the first failure")
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--full", action="store_true", help="show whole traces")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    began, sums = time.monotonic(), Sums()
    for seed in range(asked.first, asked.first + asked.count):
        if time.monotonic() - began > asked.seconds or (asked.stop and sums.failed):
            break
        try_world(seed, sums, full=asked.full, shrink=asked.shrink)
    sums.show()
    return 1 if sums.failed else 0


def try_world(seed: int, sums: Sums, *, full: bool, shrink: bool) -> None:
    """Let one world live, and say what became of it."""
    world, start = draw(seed), time.monotonic()
    try:
        outcome = lived(world)
    except Exception as error:  # noqa: BLE001 - whatever a world breaks is reported with its seed
        sums.failed.append(seed)
        say(f"seed {seed}: {type(error).__name__}: {str(error)[:1500]}")
        say(f"  replay: make sim SEEDS=1 FROM={seed}")
        if full:
            traceback.print_exc()
        if shrink:
            say(f"{shrunk(world, failure_of)}")
        return
    sums.add(outcome)
    events, faults = len(outcome.history.events), outcome.faults.total()
    took_s = time.monotonic() - start
    say(
        f"seed {seed}: {events} operations, {faults} faults, {outcome.epochs} epochs, "
        f"{took_s:.1f} s, {outcome.trace}"
    )


if __name__ == "__main__":
    sys.exit(main())
