from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import settings

from spine_node.store import Store
from unit.store.rig import Rig

# Many examples on a shared machine: a slow one is no failure.
settings.register_profile("store", deadline=None, max_examples=100)
settings.load_profile("store")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "store")


@pytest.fixture
async def store(rig: Rig) -> AsyncIterator[Store]:
    opened = await rig.adopted()
    yield opened
    await opened.close(clean=False)
