"""What goes wrong in a simulated cluster, drawn from a seed."""

from collections.abc import Sequence
from random import Random

from simulation.cluster import Machine, SimulatedCluster

SMALL_JUMPS_MS = (-400, -100, 0, 100, 400)  # two clocks may differ by this and still talk
LARGE_JUMPS_MS = (-30_000, -3_000, -700, 0, 0, 700, 3_000, 30_000)


class Faults:
    """Crashes, cuts and clock jumps, one after the other; each ends by itself."""

    def __init__(
        self,
        cluster: SimulatedCluster,
        random: Random,
        *,
        down_max: int = 1,
        jumps_ms: Sequence[int] = SMALL_JUMPS_MS,
    ) -> None:
        self._cluster, self._random = cluster, random
        self._down_max, self._jumps_ms = down_max, jumps_ms

    async def run(self) -> None:
        """Let something go wrong every few seconds, for ever."""
        while True:
            await self._cluster.sleep(self._random.uniform(0.3, 3.0))
            machine = self._random.choice(list(self._cluster.machines.values()))
            fault = self._random.choice((self._crash, self._cut, self._half_cut, self._jump))
            await fault(machine)

    async def _crash(self, machine: Machine) -> None:
        down = [m for m in self._cluster.machines.values() if m.process is None]
        if machine.process is None or len(down) >= self._down_max:
            return
        await machine.crash()
        await self._cluster.sleep(self._random.uniform(0.1, 4.0))
        self._cluster.restart(machine)

    async def _cut(self, machine: Machine) -> None:
        others = [m for m in self._cluster.machines.values() if m is not machine]
        await self._cut_for(
            {(machine.url, other.url) for other in others}
            | {(other.url, machine.url) for other in others}
        )

    async def _half_cut(self, machine: Machine) -> None:
        other = self._random.choice(
            [m for m in self._cluster.machines.values() if m is not machine]
        )
        await self._cut_for({(machine.url, other.url)})

    async def _cut_for(self, cuts: set[tuple[str, str]]) -> None:
        self._cluster.network.cuts |= cuts
        await self._cluster.sleep(self._random.uniform(0.5, 6.0))
        self._cluster.network.cuts -= cuts

    async def _jump(self, machine: Machine) -> None:
        machine.clock.offset_ms = self._random.choice(self._jumps_ms)
