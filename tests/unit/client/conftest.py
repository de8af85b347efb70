"""What the tests of links share."""

from collections.abc import AsyncIterator

import pytest

from unit.client.linked import Node, listening


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    async with listening() as node:
        yield node
