"""Clients of a simulated cluster and the history they leave: what was asked, and what came of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from simulation.cluster import CrashedError, Process, SimulatedCluster
from spine_core.errors import ProblemError
from spine_core.records.consistency import ORDER, Model
from spine_core.records.encoding import Record
from spine_core.records.sessions import Session
from spine_core.records.versions import ABSENT, Version
from spine_node.ports import ReadRequest, WriteRequest

NAMESPACE = "sim"
# More than a session token remembers, so that some own writes are forgotten.
KEYS = tuple(f"k{number}" for number in range(24))
FIELDS: dict[str, object] = {
    "metadata": {}, "tags": [], "agent_id": None, "user_id": None, "thread_id": None,
    "importance": 0.5, "pinned": False, "ttl_seconds": None, "derived_from": [],
}  # fmt: skip
TIMEOUT_S = 2.0
PAUSE_S = 0.15  # mean between two requests of one client


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write: `version` None when it was not acknowledged."""

    key: str
    body: bytes | None  # unique; None deletes
    began_s: float
    ended_s: float
    version: Version | None
    outcome: str  # ok, not-applied, indeterminate
    seat: str  # of the node that was asked
    ready: bool  # whether the node that was asked had called itself ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One read that was answered."""

    key: str
    model: Model
    began_s: float
    ended_s: float
    version: Version  # ABSENT when nothing was there
    needed: Version  # what the session had written there before


@dataclass(slots=True)
class History:
    """All that clients did."""

    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    refused: int = 0

    def acknowledged(self, key: str) -> list[Write]:
        """Return the acknowledged writes of a key, in the order in which they ended."""
        found = [w for w in self.writes if w.key == key and w.version is not None]
        return sorted(found, key=lambda write: write.ended_s)


def memory(content: str, tags: Sequence[str] = ()) -> bytes:
    """Return a memory as the edge hands it over: with all fields."""
    return json.dumps(FIELDS | {"content": content, "tags": [*tags]}).encode()


class Client:
    """An agent with one session, which asks any node that runs."""

    def __init__(
        self, cluster: SimulatedCluster, history: History, name: str, random: Random
    ) -> None:
        self._cluster, self._history, self._name, self._random = cluster, history, name, random
        self.session = Session()
        self.wrote: dict[str, Version] = {}  # key → newest acknowledged write of this session
        self._count = 0
        self.working = True

    async def run(self) -> None:
        """Write and read, until told to stop."""
        while self.working:
            await self._cluster.sleep(self._random.expovariate(1 / PAUSE_S))
            running = [m.process for m in self._cluster.machines.values() if m.process is not None]
            if running:
                await self.act(self._random.choice(running))

    async def act(self, process: Process) -> None:
        """Make one request to one node."""
        key = self._random.choice(KEYS)
        chance = self._random.random()
        if chance < 0.5:
            await self.write(process, key)
        else:
            await self.read(process, key, self._random.choice(ORDER))

    async def write(self, process: Process, key: str) -> Version | None:
        """Write something that nobody else writes, or delete."""
        self._count += 1
        began_s, outcome, version = self._cluster.now_s, "ok", None
        ready = process.node.operations.ready() is None
        body = None if self._random.random() < 0.1 else memory(f"{self._name} {self._count}")
        request = WriteRequest(
            namespace=NAMESPACE, memory_id=key, memory=body, subject=self._name,
            session=self.session, deadline=began_s + TIMEOUT_S,
        )  # fmt: skip
        try:
            done = await process.ask(process.node.engine.write(request))
            version, self.session = done.record.version, done.session
            self.wrote[key] = version
        except ProblemError as problem:
            outcome = problem.outcome or "not-applied"
        except CrashedError:
            outcome = "indeterminate"
        self._history.writes.append(
            Write(
                key=key,
                body=body,
                began_s=began_s,
                ended_s=self._cluster.now_s,
                version=version,
                outcome=outcome,
                seat=process.machine.seat,
                ready=ready,
            )
        )
        return version

    async def read(self, process: Process, key: str, model: Model) -> Record | None:
        """Read a key with the session."""
        began_s, needed = self._cluster.now_s, self.wrote.get(key, ABSENT)
        request = ReadRequest(
            namespace=NAMESPACE, memory_id=key, session=self.session, model=model,
            deadline=began_s + TIMEOUT_S,
        )  # fmt: skip
        try:
            done = await process.ask(process.node.engine.read(request))
        except (ProblemError, CrashedError):
            self._history.refused += 1
            return None
        self.session = done.session
        self._history.reads.append(
            Read(
                key=key,
                model=model,
                began_s=began_s,
                ended_s=self._cluster.now_s,
                version=done.record.version if done.record else ABSENT,
                needed=needed,
            )
        )
        return done.record
