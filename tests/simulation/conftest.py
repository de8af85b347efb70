import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulation.cluster import MEMORY, SimulatedCluster, simulated
from simulation.loop import VirtualLoop
from simulation.network import CALM
from simulation.runs import founded


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "cluster(seats, factor, layout, weather, pull_limits): what `cluster` differs in from three nodes in calm",
    )


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the coroutines of this folder, tests and fixtures, on virtual time."""
    return {"virtual": VirtualLoop}


@pytest.fixture
def seed() -> int:
    """What the run is drawn from; a test of many runs is parametrised with more."""
    return 1


@pytest.fixture
async def cluster(
    request: pytest.FixtureRequest, root: Path, seed: int
) -> AsyncIterator[SimulatedCluster]:
    """Three nodes that serve, on a network that loses nothing.

    `@pytest.mark.cluster(seats="a b c d", weather=ROUGH)` asks for others.
    """
    options: dict[str, Any] = {"seats": "a b c", "weather": CALM}
    for marker in reversed([*request.node.iter_markers("cluster")]):
        options |= marker.kwargs
    weather = options.pop("weather")
    async with simulated(root, seed, **options) as made:
        made.network.weather = weather
        await founded(made)
        yield made


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Stores of a simulation live in memory where the machine has such a place."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        yield Path(directory)
