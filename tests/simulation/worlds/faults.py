"""What goes wrong in a world: many things at once, each at its time and for as long as was drawn."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from simulation.cluster import Machine, SimulatedCluster
from simulation.worlds.rivals import operate_beside
from simulation.worlds.world import SEATS, WEATHERS, Fault, World
from spine_node.store.space import Space

JUMPS_MS = (-30_000, -3_000, -700, -300, -50, 50, 300, 700, 3_000, 30_000)
RATES = (0.5, 0.95, 0.999, 1.001, 1.05, 2.0)
LOST = (
    "put",
    "prepare",
    "accept",
    "learn",
    "change",
    "get",
    "gossip",
    "topology",
    "page",
    "buckets",
)
HELD = ("put", "put", "prepare", "accept", "accept", "learn", "change", "get", "page", "fetch")

End = AbstractAsyncContextManager[None]


class WorldFaults:
    """Runs the faults of a world."""

    def __init__(self, cluster: SimulatedCluster, world: World) -> None:
        self._cluster, self._world = cluster, world
        self.met: Counter[str] = Counter()
        self._kinds: dict[str, Callable[[Fault], End]] = {
            "crash": self._crash, "restart-all": self._restart_all,
            "power-cycle": self._power_cycle, "cut": self._cut, "one-way": self._one_way,
            "halves": self._halves, "weather": self._weather, "jump": self._jump,
            "drift": self._drift, "freeze": self._freeze, "hang": self._hang,
            "slow-disk": self._slow_disk, "full": self._full, "failed-disk": self._failed_disk,
            "pause": self._pause, "seats": self._seats, "operator-pause": self._operator_pause,
            "operator-crash": self._operator_crash, "rival": self._rival, "lose": self._lose,
            "lose-learn": self._lose_learn, "hold": self._hold,
        }  # fmt: skip

    async def run(self) -> None:
        """Let everything happen."""
        async with asyncio.TaskGroup() as tasks:
            for fault in self._world.faults:
                tasks.create_task(self._happen(fault))

    async def _happen(self, fault: Fault) -> None:
        await self._cluster.sleep(fault.at_s)
        self.met[fault.kind] += 1
        async with self._kinds[fault.kind](fault):
            await self._cluster.sleep(fault.for_s)

    def _machine(self, dice: float) -> Machine:
        machines = [*self._cluster.machines.values()]
        return machines[int(dice * len(machines))]

    # ---- processes

    @asynccontextmanager
    async def _crash(self, fault: Fault) -> AsyncIterator[None]:
        machine = self._machine(fault.dice[0])
        if machine.process is not None:
            await machine.crash()
        yield
        self._cluster.restart(machine)

    @asynccontextmanager
    async def _restart_all(self, fault: Fault) -> AsyncIterator[None]:
        """Restart one after the other, each as soon as the one before runs."""
        for machine in tuple(self._cluster.machines.values()):
            if machine.process is not None:
                await machine.crash()
            await self._cluster.sleep(fault.dice[0])
            self._cluster.restart(machine)
        yield

    @asynccontextmanager
    async def _power_cycle(self, fault: Fault) -> AsyncIterator[None]:
        """Let the whole cluster be down at once."""
        down = [machine for machine in self._cluster.machines.values() if machine.process]
        for machine in down:
            if machine.process is not None:
                await machine.crash()
        await self._cluster.sleep(fault.dice[0])
        for machine in down:
            self._cluster.restart(machine)
        yield

    @asynccontextmanager
    async def _pause(self, fault: Fault) -> AsyncIterator[None]:
        process = self._machine(fault.dice[0]).process
        if process is not None:
            process.pause()
        yield
        if process is not None and process.alive:
            process.resume()

    # ---- network

    @asynccontextmanager
    async def _cut(self, fault: Fault) -> AsyncIterator[None]:
        url = self._machine(fault.dice[0]).url
        others = [one.url for one in self._cluster.machines.values() if one.url != url]
        cuts = {(url, other) for other in others} | {(other, url) for other in others}
        async with self._cutting(cuts):
            yield

    @asynccontextmanager
    async def _one_way(self, fault: Fault) -> AsyncIterator[None]:
        one, other = self._machine(fault.dice[0]), self._machine(fault.dice[1])
        async with self._cutting({(one.url, other.url)} if one is not other else set()):
            yield

    @asynccontextmanager
    async def _halves(self, fault: Fault) -> AsyncIterator[None]:
        urls = [machine.url for machine in self._cluster.machines.values()]
        begin, size = int(fault.dice[0] * len(urls)), max(1, len(urls) // 2)
        inside = {*(urls + urls)[begin : begin + size]}
        between = {(a, b) for a in urls for b in urls if (a in inside) != (b in inside)}
        async with self._cutting(between):
            yield

    @asynccontextmanager
    async def _cutting(self, cuts: set[tuple[str, str]]) -> AsyncIterator[None]:
        new = cuts - self._cluster.network.cuts
        self._cluster.network.cuts |= new
        yield
        self._cluster.network.cuts -= new

    @asynccontextmanager
    async def _weather(self, fault: Fault) -> AsyncIterator[None]:
        before = self._cluster.network.weather
        self._cluster.network.weather = WEATHERS[int(fault.dice[0] * len(WEATHERS))]
        yield
        self._cluster.network.weather = before

    @asynccontextmanager
    async def _lose(self, fault: Fault) -> AsyncIterator[None]:
        """Let one kind of call never reach one node: whoever counts on a quorum gets the smallest."""
        method = LOST[int(fault.dice[0] * len(LOST))]
        by = self._machine(fault.dice[2]).url if fault.dice[3] < 0.3 else None
        rule = self._cluster.network.rules.lose(method, to=self._machine(fault.dice[1]).url, by=by)
        yield
        rule.end()

    @asynccontextmanager
    async def _lose_learn(self, fault: Fault) -> AsyncIterator[None]:
        """Let nobody else learn what was chosen."""
        to = self._machine(fault.dice[0]).url if fault.dice[1] < 0.3 else None
        rule = self._cluster.network.rules.lose("learn", to=to)
        yield
        rule.end()

    @asynccontextmanager
    async def _hold(self, fault: Fault) -> AsyncIterator[None]:
        """Let one kind of call to one node take seconds."""
        method = HELD[int(fault.dice[0] * len(HELD))]
        to = self._machine(fault.dice[1]).url if fault.dice[2] < 0.8 else None
        rule = self._cluster.network.rules.delay(method, 0.1 + 6 * fault.dice[3] ** 2, to=to)
        yield
        rule.end()

    # ---- clocks and disks

    @asynccontextmanager
    async def _jump(self, fault: Fault) -> AsyncIterator[None]:
        clock = self._machine(fault.dice[0]).clock
        clock.offset_ms = JUMPS_MS[int(fault.dice[1] * len(JUMPS_MS))]
        yield
        clock.offset_ms = 0

    @asynccontextmanager
    async def _drift(self, fault: Fault) -> AsyncIterator[None]:
        clock = self._machine(fault.dice[0]).clock
        clock.run_at(RATES[int(fault.dice[1] * len(RATES))])
        yield
        clock.run_at(1.0)

    @asynccontextmanager
    async def _freeze(self, fault: Fault) -> AsyncIterator[None]:
        clock = self._machine(fault.dice[0]).clock
        clock.run_at(0.0)
        yield
        clock.correct()

    @asynccontextmanager
    async def _hang(self, fault: Fault) -> AsyncIterator[None]:
        process = self._machine(fault.dice[0]).process
        if process is not None:
            process.writer.hangs = True
        yield
        if process is not None and process.alive:
            process.writer.resume()

    @asynccontextmanager
    async def _slow_disk(self, fault: Fault) -> AsyncIterator[None]:
        disk = self._machine(fault.dice[0]).disk
        before, disk.stall_share = disk.stall_share, fault.dice[1]
        yield
        disk.stall_share = before

    @asynccontextmanager
    async def _full(self, fault: Fault) -> AsyncIterator[None]:
        disk = self._machine(fault.dice[0]).disk
        disk.left = Space.LOW if fault.dice[1] < 0.5 else Space.OUT
        yield
        disk.left = Space.FREE

    @asynccontextmanager
    async def _failed_disk(self, fault: Fault) -> AsyncIterator[None]:
        """Let a write-back fail; the process is restarted after a while, as its liveness asks for."""
        machine = self._machine(fault.dice[0])
        process = machine.process
        if process is not None:
            process.writer.fail()
        yield
        if process is not None and machine.process is process:
            await machine.crash()
            self._cluster.restart(machine)

    # ---- topology

    @asynccontextmanager
    async def _seats(self, fault: Fault) -> AsyncIterator[None]:
        """Want other seats; who is new comes up."""
        layout = self._world.layout
        seats = wanted_seats(layout.factor, layout.zones, fault.dice)
        self._cluster.want(" ".join(seats))
        for seat in seats:
            self._cluster.restart(self._cluster.machines[seat])
        yield

    @asynccontextmanager
    async def _operator_pause(self, _fault: Fault) -> AsyncIterator[None]:
        self._cluster.paused = True
        yield
        self._cluster.paused = False

    @asynccontextmanager
    async def _operator_crash(self, _fault: Fault) -> AsyncIterator[None]:
        """Let the operator die when it has persisted a document and pushed it nowhere."""
        self._cluster.dies_at_publish = True
        yield
        self._cluster.dies_at_publish = self._cluster.paused = False

    @asynccontextmanager
    async def _rival(self, fault: Fault) -> AsyncIterator[None]:
        """Let a second operator act on what it saw a while ago."""
        other = asyncio.create_task(operate_beside(self._cluster, late_s=3 * fault.dice[0]))
        other.add_done_callback(self._cluster.note)
        yield
        other.cancel()


def wanted_seats(factor: int, zones: int, dice: tuple[float, ...]) -> list[str]:
    """Return seats for a factor, one in each zone at least."""
    pool = [*SEATS[: min(len(SEATS), max(factor, 2) + 3)]]
    count = min(len(pool), max(factor, 2) + int(dice[0] * 3))
    chosen = [*SEATS[:zones]]
    rest = [seat for seat in pool if seat not in chosen]
    turn = int(dice[1] * len(rest)) if rest else 0
    rest = rest[turn:] + rest[:turn]
    return sorted((chosen + rest)[:count])


def without(world: World, begin: int, end: int) -> World:
    """Return the world without some of its faults."""
    return replace(world, faults=world.faults[:begin] + world.faults[end:])
