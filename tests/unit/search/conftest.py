from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from unit.search.rig import Shelf, opened_shelf


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    async with opened_shelf(tmp_path) as opened:
        yield opened
