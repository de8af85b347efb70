"""Runs rows: warm-up, load, the work that trails behind it, and what all of that cost."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.closed.rows import Row
from bench.closed.samples import Sample
from bench.machine import Busyness, load_average
from bench.processes import CpuTime, cpu_time
from bench.systems.system import System, Tally
from bench.waiting import pause

SETTLE_S = 0.25  # a look that long
SETTLE_LOOKS = 24
IDLE = 0.05  # of a core for each process: gossip and heartbeats never end


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often."""

    rounds: int
    seconds: float
    warm_up_s: float


@dataclass(slots=True)
class Rounds:
    """All rows, again and again, each time in another order."""

    plan: Plan
    say: Callable[[int, Row, Sample], None]
    found: list[dict[str, Sample]] = field(default_factory=list)  # one mapping a round
    tallies: dict[str, Tally] = field(default_factory=dict)  # name of a system →

    def run(self, rows: Sequence[Row]) -> None:
        """Run all rounds."""
        for number in range(1, self.plan.rounds + 1):
            samples: dict[str, Sample] = {}
            self.found.append(samples)
            for place, row in enumerate(random.sample(rows, len(rows))):
                samples[row.key] = self._measure(row, f"r{number}{chr(ord('a') + place)}")
                self.say(number, row, samples[row.key])

    def tally_of(self, system: System) -> Tally:
        """Return what a system has acknowledged."""
        return self.tallies.setdefault(system.name, Tally())

    def _measure(self, row: Row, prefix: str) -> Sample:
        tally = self.tally_of(row.system)
        if self.plan.warm_up_s:
            warm = row.load.run(self.plan.warm_up_s, f"{prefix}w")
            if row.writers:
                tally.note([f"{prefix}w{writer}" for writer in row.writers], warm)
            settle(row.system.pids())
        pids, machine = row.system.pids(), Busyness.now()
        before = cpu_time(pids)
        result = row.load.run(self.plan.seconds, f"{prefix}m")
        steal = Busyness.now().steal_share(machine)
        used = settle(pids) - before  # an index that lags behind is paid for too
        if row.writers:
            tally.note([f"{prefix}m{writer}" for writer in row.writers], result)
        each = 1e6 / max(1, result.acknowledged)
        return Sample(
            rate=result.rate,
            cpu_us=used.total_s * each,
            system_us=used.system_s * each,
            threads_us={
                name: (user_s * each, system_s * each)
                for name, (user_s, system_s) in used.threads_s.items()
            },
            p50_ms=result.p50_ms,
            p99_ms=result.p99_ms,
            errors=result.errors,
            load_average=load_average(),
            steal=steal,
        )


def settle(pids: Sequence[int]) -> CpuTime:
    """Wait until servers have nothing left to do; return what they have used until then."""
    now = cpu_time(pids)
    for _ in range(SETTLE_LOOKS):
        before = now
        pause(SETTLE_S)
        now = cpu_time(pids)
        if (now - before).total_s < SETTLE_S * IDLE * len(pids):
            break
    return now


def verify(rounds: Rounds, systems: Sequence[System]) -> Mapping[str, list[str]]:
    """Return system → what is wrong with what it holds."""
    return {system.name: system.verify(rounds.tally_of(system)) for system in systems}
