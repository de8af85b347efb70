import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.world import MEMORY


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Stores of a simulation live in memory where the machine has such a place."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        yield Path(directory)
