"""The requests of clients: admitted by this node's health, handed to their coordinator."""

from collections.abc import Callable

from spine_core.errors import ProblemError
from spine_core.records.consistency import Consistency
from spine_node.engine.cluster.configuration import Configuration
from spine_node.engine.coordinator.read import ReadCoordinator
from spine_node.engine.coordinator.write import WriteCoordinator
from spine_node.engine.query.list_coordinator import ListCoordinator
from spine_node.engine.upkeep.health import Health
from spine_node.ports import (
    ListOutcome,
    ListRequest,
    ReadOutcome,
    ReadRequest,
    WriteOutcome,
    WriteRequest,
)


class DataPlane:
    """The `Engine` of `spine_node.ports`."""

    def __init__(
        self,
        writes: WriteCoordinator,
        reads: ReadCoordinator,
        lists: ListCoordinator,
        health: Health,
        configuration: Callable[[], Configuration],
    ) -> None:
        self._writes, self._reads, self._lists = writes, reads, lists
        self._health, self._configuration = health, configuration

    @property
    def consistency(self) -> Consistency:
        """The policy in force."""
        return self._configuration().consistency

    async def write(self, request: WriteRequest) -> WriteOutcome:
        """Store or delete one record on its write quorum."""
        self._admit()
        return await self._writes.write(request)

    async def read(self, request: ReadRequest) -> ReadOutcome:
        """Read one record; what our own copy answers does not suspend the caller."""
        self._admit()
        return await self._reads.read(request)

    async def list(self, request: ListRequest) -> ListOutcome:
        """Answer one page of a list."""
        self._admit()
        return await self._lists.list(request)

    def _admit(self) -> None:
        """Let a request pass, unless this node turns clients away.

        Raises:
            ProblemError: `not-ready`.
        """
        refusal = self._health.refusal()
        if refusal:
            raise ProblemError("not-ready", refusal)
