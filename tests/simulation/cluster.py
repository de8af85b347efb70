"""A whole cluster in one process on virtual time: real nodes and stores, virtual network and disks.

`SimulatedCluster` starts, crashes and restarts machines; `Process` is one life of one of them. Everything is
drawn from one seed. A background task that fails, or an exception that nobody took, is a failure of
the run: `close` raises it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from simulation.clock import MachineClock
from simulation.disk import STALL_SHARE, VirtualDisk, VirtualWriter
from simulation.layout import Layout, majority_of
from simulation.loop import OWNER, Tasks, virtual_loop
from simulation.network import CALM, Network
from spine_core.errors import ProblemError
from spine_core.planning.actions import Action, Publish, Push, RemoveSeats
from spine_core.planning.next_action import next_action
from spine_core.planning.reports import Report
from spine_core.planning.wanted import SeatAddress, Wanted
from spine_core.records.hlc import HybridClock
from spine_core.records.ids import PartitionStrategy
from spine_core.topology.document import Document
from spine_node.engine.cluster.configuration import Configuration, LiveConfiguration
from spine_node.engine.cluster.secrets import Secrets
from spine_node.engine.node import Node, NodeEnvironment, NodeOptions
from spine_node.engine.replication.pull_server import PULL_LIMITS, PullLimits
from spine_node.http.bodies import merge_patch
from spine_node.links.server import LinkServer
from spine_node.metrics import Metrics
from spine_node.store import StorageError, StorePorts, open_store
from spine_node.store.committer import Failpoint
from spine_node.store.draft import Effects
from spine_node.store.space import Space
from spine_node.store.writer import Perform

T = TypeVar("T")

VIRTUAL_NODES = 16
MEMORY = Path("/dev/shm")  # commits of a simulation need no disk
OPERATOR_S = 0.25
DEADLINE_S = 600.0  # virtual, for conditions that must come true; unending faults put some off


class CrashedError(Exception):
    """The node died under a request: nobody knows what became of it."""


class Process:
    """One life of a machine's node."""

    def __init__(self, machine: "Machine") -> None:
        self.machine, self.url = machine, machine.url
        self.tasks: Tasks = Tasks()
        self.alive = True
        self.context: Context = copy_context()
        self.writer: VirtualWriter  # of its store
        self.context.run(OWNER.set, self.tasks)
        self.node = self.context.run(self._made)
        running = self.create_task(self.node.run())
        running.add_done_callback(machine.cluster.note)

    def _made(self) -> Node:
        machine = self.machine
        cluster, hlc, clock = machine.cluster, HybridClock(), machine.clock

        def writer_of(perform: Perform[Effects], failpoint: Failpoint) -> VirtualWriter:
            self.writer = VirtualWriter(cluster.writers, machine.disk, perform, failpoint)
            return self.writer

        store = open_store(
            machine.path,
            clock=hlc,
            physical_ms=clock.physical_ms,
            ports=StorePorts(writer=writer_of, disk=lambda _file, _used: machine.disk),
        )
        environment = NodeEnvironment(
            store=store,
            hlc=hlc,
            clock=clock,
            merge_patch=merge_patch,
            mesh_of=partial(cluster.network.mesh_of, self),
        )
        cluster.metrics.append(environment.metrics)
        return Node(cluster.options(machine), environment)

    @property
    def links(self) -> LinkServer:
        return self.node.links

    def create_task(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run work as the node's own: it dies with it."""
        return self.context.run(asyncio.get_running_loop().create_task, work)

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work of the node.

        Raises:
            CrashedError: the node died meanwhile.
        """
        if not self.alive:
            work.close()
            raise CrashedError
        task = self.create_task(work)
        await asyncio.wait({task})
        if task.cancelled():
            raise CrashedError
        return task.result()

    def pause(self) -> None:
        """Stand still, as after SIGSTOP."""
        virtual_loop().stop_tasks(self.tasks)

    def resume(self) -> None:
        """Go on."""
        virtual_loop().resume_tasks(self.tasks)

    async def crash(self) -> None:
        """Die at this instant, with what was fsynced."""
        self.alive = False
        self.resume()
        self.writer.crash()
        while left := [task for task in self.tasks if not task.done()]:
            for task in left:
                task.cancel()
            await asyncio.wait(left)
        await self.node.store.close(clean=False)

    async def stop(self) -> None:
        """Stop as asked."""
        self.alive = False
        for task in tuple(self.tasks):
            task.cancel()
        await self.node.close()


class Machine:
    """A seat with its disk and clock; `process` is None while it is down."""

    def __init__(self, cluster: "SimulatedCluster", seat: str, random: Random) -> None:
        self.cluster, self.seat, self.url = cluster, seat, f"{seat}:8788"
        self.path = (
            cluster.root / f"{seat}-{cluster.disks}"
        )  # a seat that comes back has a new disk
        cluster.disks += 1
        self.clock = MachineClock(random)
        self.disk = VirtualDisk()
        cluster.disks_made.append(self.disk)
        self.process: Process | None = None

    @property
    def up(self) -> Process:
        """The process that runs."""
        assert self.process is not None, f"{self.seat} is down"
        return self.process

    @property
    def node(self) -> Node:
        """The node that runs."""
        return self.up.node

    def start(self) -> None:
        """Start, again or for the first time."""
        assert self.process is None
        self.process = Process(self)
        self.cluster.network.processes[self.url] = self.process

    async def crash(self) -> None:
        """Die like a process that is killed."""
        process, self.process = self.up, None
        await process.crash()

    async def remove(self) -> None:
        """Be taken away, running or not."""
        if self.process is not None:
            await self.crash()


class SimulatedCluster:
    """The machines, what lies between them, and the operator that wants `seats` of them."""

    def __init__(
        self, root: Path, seed: int, seats: str, layout: Layout, pull_limits: PullLimits
    ) -> None:
        self.root, self.random = root, Random(seed)
        self.layout, self._pull_limits = layout, pull_limits
        self.writers = Random(seed)  # how long the commits of all disks take
        self.disks = 0
        self.disks_made: list[VirtualDisk] = []
        self.network = Network(Random(self.random.random()))
        self.machines: dict[str, Machine] = {}
        self.document: Document | None = None
        self.published: list[Document] = []
        self.action: Action | None = None
        self.failures: list[BaseException] = []
        self.metrics: list[Metrics] = []  # of all processes that ever ran
        self.bytes_per_s = 1 << 30
        self.strategy: PartitionStrategy = "hash"  # of nodes that start from now on
        self.paused = False
        self.dies_at_publish = False  # the operator, with a document that it has pushed nowhere
        self._published_at = 0.0
        self.wanted = self.want(seats)
        for machine in self.machines.values():
            machine.start()

    # ---- machines

    def want(self, seats: str) -> Wanted:
        """Ask the operator for these seats; new ones get a machine that is down."""
        for seat in seats.split():
            if seat not in self.machines:
                self.machines[seat] = Machine(self, seat, Random(self.random.random()))
        self.wanted = Wanted(
            name="simulated",
            seats={
                seat: SeatAddress(zone=self.layout.zone_of(seat), url=self.machines[seat].url)
                for seat in seats.split()
            },
            factor=self.layout.factor,
            write_quorum=self.layout.write_quorum,
            zone_policy="strict" if self.layout.zones else "none",
            virtual_nodes=VIRTUAL_NODES,
            slots=self.layout.slots,
        )
        return self.wanted

    def options(self, machine: Machine) -> NodeOptions:
        """Return what a node of this cluster is made of."""
        return NodeOptions(
            name="simulated",
            seat=machine.seat,
            version="0",
            strategy=self.strategy,
            pull_bytes_per_s=self.bytes_per_s,
            quota_bytes=1 << 40,
            drop_after_s=self.layout.drop_after_s,
            index_file=machine.path / "index.db",
            secrets=Secrets((b"simulated secret",)),
            tls=None,
            configuration=LiveConfiguration(
                lambda: Configuration(read_quorum=self.layout.read_quorum)
            ),
            pull_limits=self._pull_limits,
        )

    @property
    def nodes(self) -> list[Node]:
        """The nodes that run."""
        return [m.node for m in self.machines.values() if m.process is not None]

    @property
    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await next(iter(self.machines.values())).clock.sleep(seconds)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition to hold."""
        end = self.now_s + DEADLINE_S
        while not condition():
            assert self.now_s < end, f"not within {DEADLINE_S:.0f} virtual s: {what}; {self.action}"
            assert not self.failures, self.failures
            await self.sleep(0.1)

    def restart(self, machine: Machine) -> None:
        """Start a machine, unless it runs or has been taken away."""
        if machine.process is None and machine in self.machines.values():
            machine.start()

    def heal(self) -> None:
        """End all faults: cuts, lost messages, crashes, stops, clocks, disks."""
        self.network.cuts.clear()
        self.network.weather = CALM
        for machine in self.machines.values():
            machine.clock.correct()
            machine.disk.left, machine.disk.stall_share = Space.FREE, STALL_SHARE
            if machine.process is not None:
                machine.process.resume()
                machine.process.writer.resume()
            self.restart(machine)

    # ---- the operator

    async def operate(self) -> None:
        """Take the operator's one next action, for ever, unless paused."""
        while True:
            if not self.paused:
                await self.step()
            await self.sleep(OPERATOR_S)

    async def step(self) -> None:
        """Persist first, push second."""
        self.action = action = self.next_action()
        if isinstance(action, Publish):
            self.publish(action.document)
            self.paused = self.paused or self.dies_at_publish
        elif isinstance(action, Push):
            await asyncio.gather(*(self.push(seat, action.document) for seat in action.stores))
        elif isinstance(action, RemoveSeats):
            for seat in action.seats:
                await self.machines.pop(seat).remove()

    def publish(self, document: Document) -> None:
        """Persist a document."""
        self.document, self._published_at = document, self.now_s
        self.published.append(document)

    def next_action(self) -> Action:
        """Return what the operator does next, as things are now."""
        return next_action(
            self.document,
            self._reports(),
            self.wanted,
            cluster_id="11111111-1111-4111-8111-111111111111",
            waited_s=self.now_s - self._published_at,
            now_ms=int(self.now_s * 1000),
        )

    def _reports(self) -> dict[str, Report | None]:
        reports: dict[str, Report | None] = {}
        for seat, machine in self.machines.items():
            up = machine.process
            reports[seat] = Report.from_json(up.node.operations.report(slots=False)) if up else None
        return reports

    async def push(self, seat: str, document: Document) -> None:
        """Let a node adopt a document, if it can."""
        machine = self.machines.get(seat)
        process = None if machine is None else machine.process
        if process is None:
            return
        try:
            await process.ask(process.node.operations.adopt(document.canonical()))
        except (ProblemError, CrashedError, StorageError):
            return

    # ---- failures that nobody awaits

    def note(self, task: "asyncio.Task[Any]") -> None:
        """Take note of a background task that has ended by itself."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failures.append(error)

    def note_unhandled(self, _loop: object, context: dict[str, Any]) -> None:
        """Take note of what asyncio found in nobody's hands."""
        self.failures.append(context.get("exception") or RuntimeError(context["message"]))

    async def close(self) -> None:
        """Stop everything."""
        for machine in self.machines.values():
            if machine.process is not None:
                await machine.crash()
        assert not self.failures, self.failures


@asynccontextmanager
async def simulated(
    root: Path,
    seed: int,
    *,
    seats: str = "a b c",
    factor: int = 3,
    layout: Layout | None = None,
    pull_limits: PullLimits = PULL_LIMITS,
) -> AsyncIterator[SimulatedCluster]:
    """Make a cluster whose operator runs, and stop it at the end."""
    made = SimulatedCluster(root, seed, seats, layout or majority_of(factor), pull_limits)
    asyncio.get_running_loop().set_exception_handler(made.note_unhandled)
    operator = asyncio.create_task(made.operate())
    operator.add_done_callback(made.note)
    try:
        yield made
    finally:
        operator.cancel()
        await asyncio.wait({operator})
        await made.close()
