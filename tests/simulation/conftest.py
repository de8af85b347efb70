import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from simulation.loop import run
from simulation.network import CALM
from simulation.runs import founded
from simulation.world import MEMORY, World, world

Steps = Callable[[World], Awaitable[None]]


@pytest.fixture
def calm(root: Path) -> Callable[[Steps], None]:
    """Run steps on three nodes whose network loses nothing."""

    def perform(steps: Steps) -> None:
        async def main() -> None:
            async with world(root, 1) as cluster:
                cluster.network.weather = CALM
                await founded(cluster)
                await steps(cluster)

        run(main())

    return perform


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Stores of a simulation live in memory where the machine has such a place."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        yield Path(directory)
