"""The requests of clients: admitted by this node's health, handed to their coordinator."""

from collections.abc import Callable

from spine_core.errors import ProblemError
from spine_core.records.consistency import Consistency
from spine_node.engine.cluster.configuration import Configuration
from spine_node.engine.coordinator.coordinators import Coordinators
from spine_node.engine.query.list_coordinator import ListCoordinator
from spine_node.engine.upkeep.health import Health
from spine_node.engine.watch.watches import Watches
from spine_node.ports import (
    LeaseOutcome,
    LeaseRequest,
    LeaseState,
    ListOutcome,
    ListRequest,
    ReadOutcome,
    ReadRequest,
    Watch,
    WatchRequest,
    WriteOutcome,
    WriteRequest,
)


class DataPlane:
    """The `Engine` of `spine_node.ports`."""

    def __init__(
        self,
        coordinators: Coordinators,
        lists: ListCoordinator,
        watches: Watches,
        health: Health,
        configuration: Callable[[], Configuration],
    ) -> None:
        self._writes, self._reads = coordinators.writes, coordinators.reads
        self._leases, self._lists = coordinators.leases, lists
        self._watches = watches
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

    async def acquire_lease(self, request: LeaseRequest) -> LeaseOutcome:
        """Take a lease, and stamp its guards."""
        self._admit()
        return await self._leases.acquire(request)

    async def renew_lease(self, request: LeaseRequest) -> LeaseOutcome:
        """Let a lease run from now on."""
        self._admit()
        return await self._leases.renew(request)

    async def release_lease(self, request: LeaseRequest) -> LeaseOutcome:
        """Give a lease back."""
        self._admit()
        return await self._leases.release(request)

    async def lease(self, namespace: str, key: str, deadline: float) -> LeaseState | None:
        """Read a lease, strongly; None where nobody ever took it."""
        self._admit()
        return await self._leases.get(namespace, key, deadline)

    def is_held(self, lease: LeaseState) -> bool:
        """Whether somebody has a lease now."""
        return self._leases.is_held(lease)

    async def list(self, request: ListRequest) -> ListOutcome:
        """Answer one page of a list."""
        self._admit()
        return await self._lists.list(request)

    async def watch(self, request: WatchRequest) -> Watch:
        """Follow the changes of a namespace."""
        self._admit()
        return await self._watches.open(request)

    def _admit(self) -> None:
        """Let a request pass, unless this node turns clients away.

        Raises:
            ProblemError: `not-ready`.
        """
        refusal = self._health.refusal()
        if refusal:
            raise ProblemError("not-ready", refusal)
