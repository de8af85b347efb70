"""What every measured system can do, and what was acknowledged of it."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bench.load.result import LoadResult
from bench.memory import memory_id


class MissingError(Exception):
    """A system that cannot run here; the message says why, and the cure."""


@dataclass(frozen=True, slots=True)
class Written:
    """One run that wrote: which ids there must be."""

    prefixes: tuple[str, ...]  # one for each writer of the generator
    result: LoadResult


@dataclass(slots=True)
class Tally:
    """What a system has acknowledged so far."""

    acknowledged: int = 0
    sent: int = 0
    runs: list[Written] = field(default_factory=list)

    def note(self, prefixes: Sequence[str], result: LoadResult) -> None:
        """Take the result of one run; without prefixes it is counted, and its bodies are not looked at."""
        self.acknowledged += result.acknowledged
        self.sent += result.sent
        if prefixes:
            self.runs.append(Written(tuple(prefixes), result))

    def sample(self, count: int) -> list[str]:
        """Return random ids that were certainly acknowledged: of the first half of each writer."""
        found = []
        for _ in range(count if self.runs else 0):
            run = random.choice(self.runs)
            half = run.result.acknowledged // len(run.prefixes) // 2
            if half:
                found.append(memory_id(random.choice(run.prefixes), random.randrange(half)))
        return found

    def check_counts(self, where: str, counts: Iterable[int]) -> list[str]:
        """Return what is wrong with the number of items on each replica."""
        return [
            f"{where} {number}: holds {count}, acknowledged {self.acknowledged}, sent {self.sent}"
            for number, count in enumerate(counts, 1)
            if not self.acknowledged <= count <= self.sent
        ]


class System(Protocol):
    """A system under load. `close` ends every process, whatever happened."""

    name: str
    durability: str  # what an acknowledgement means
    replicas: int

    def start(self) -> None:
        """Start it and wait until it serves.

        Raises:
            MissingError: it is not installed here.
        """
        ...

    def pids(self) -> list[int]:
        """Return the first process of each server."""
        ...

    def version(self) -> str:
        """Return its version."""
        ...

    def verify(self, tally: Tally) -> list[str]:
        """Return what is wrong: every replica must hold what was acknowledged, with its bytes."""
        ...

    def close(self) -> None:
        """End its processes."""
        ...
