from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from unit.search.harness import IndexHarness, opened_harness


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[IndexHarness]:
    async with opened_harness(tmp_path) as opened:
        yield opened
