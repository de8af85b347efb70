from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from spine_node.store import Store
from unit.store.rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "store")


@pytest.fixture
async def store(rig: Rig) -> AsyncIterator[Store]:
    opened = await rig.adopted()
    yield opened
    await opened.close(clean=False)
