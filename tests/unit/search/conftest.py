from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from spine_node.search.limits import LIMITS, IndexLimits
from unit.search.harness import IndexHarness, opened_harness


@pytest.fixture
def limits() -> IndexLimits:
    """Those of a node; a test that needs small ones is parametrised with them."""
    return LIMITS


@pytest.fixture
async def harness(tmp_path: Path, limits: IndexLimits) -> AsyncIterator[IndexHarness]:
    async with opened_harness(tmp_path, limits=limits) as opened:
        yield opened
