from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from spine_node.store import Store
from unit.engine.harness import ManualClock
from unit.store.harness import StoreHarness


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def harness(tmp_path: Path) -> StoreHarness:
    return StoreHarness(tmp_path / "store")


@pytest.fixture
async def store(harness: StoreHarness) -> AsyncIterator[Store]:
    opened = harness.open()
    yield opened
    await opened.close(clean=False)
