"""The leases of a namespace, for the client that blocks."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread

from memory_spine import leases
from memory_spine.arguments import Identifier, Seconds
from memory_spine.core import Core
from memory_spine.effects import Transport
from memory_spine.held_lease import HeldLease
from memory_spine.leases import TTL_S, Asked, LeaseQuery
from memory_spine.models import LeaseInfo, LeasePage
from memory_spine.sync_driver import run
from memory_spine.sync_memories import Pager


class Lease(HeldLease):
    """A lease that was granted, with its connection to the server."""

    def __init__(
        self,
        core: Core,
        transport: Transport,
        asked: Asked,
        on_lost: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(core, *asked, on_lost)
        self._transport = transport

    def renew(self) -> None:
        """Begin its time anew.

        Raises:
            LeaseLost: it has passed on.
        """
        run(leases.renew(self._core, self), self._transport)

    def release(self) -> None:
        """Give it back.

        Raises:
            LeaseLost: it had passed on.
        """
        self.end("it was given back")
        operation = leases.release(self._core, self.key, holder=self.holder, fence=self.fence)
        run(operation, self._transport)


class Leases:
    """The leases of one namespace."""

    def __init__(self, core: Core, transport: Transport) -> None:
        self._core = core
        self._transport = transport

    def acquire(
        self,
        key: Identifier,
        /,
        *,
        ttl: Seconds = TTL_S,
        wait: Seconds = 0.0,
        holder: Identifier | None = None,
        guards: Iterable[Identifier] = (),
    ) -> Lease:
        """Acquire a lease, to be renewed and released by you; `hold` does both.

        It ends by itself `ttl` seconds later. `wait` is for how long to wait while another has it.
        Each memory of `guards` takes no write of an earlier holder any more when this returns.

        Raises:
            LeaseHeld: another has it; `holder` is who.
        """
        operation = leases.acquire(
            self._core, key, ttl=ttl, wait=wait, holder=holder, guards=guards
        )
        return Lease(self._core, self._transport, run(operation, self._transport))

    @contextmanager
    def hold(
        self,
        key: Identifier,
        /,
        *,
        ttl: Seconds = TTL_S,
        wait: Seconds = 0.0,
        holder: Identifier | None = None,
        guards: Iterable[Identifier] = (),
        on_lost: Callable[[], object] | None = None,
    ) -> Iterator[Lease]:
        """Hold a lease in the block: it is renewed in the background and given back at the end.

        When it is lost, `lease.lost` is true and `on_lost` is called at once, beside
        the block, which goes on; its writes with `fence=lease` are refused.

        Raises:
            LeaseHeld: as `acquire`.
        """
        operation = leases.acquire(
            self._core, key, ttl=ttl, wait=wait, holder=holder, guards=guards
        )
        lease = Lease(self._core, self._transport, run(operation, self._transport), on_lost)
        renewal = Thread(
            target=lambda: run(leases.keep(self._core, lease), self._transport),
            name=f"memory-spine-lease-{lease.key}",
            daemon=True,
        )
        renewal.start()
        try:
            yield lease
        finally:
            run(leases.give_back(self._core, lease), self._transport)
            renewal.join()

    def renew(
        self, key: Identifier, /, *, holder: Identifier, fence: int, ttl: Seconds | None = None
    ) -> Lease:
        """Renew the lease that another process of this holder has acquired, and take it over.

        Raises:
            LeaseLost: it has passed on.
        """
        operation = leases.prolong(self._core, key, holder=holder, fence=fence, ttl=ttl)
        return Lease(self._core, self._transport, run(operation, self._transport))

    def release(self, key: Identifier, /, *, holder: Identifier, fence: int) -> None:
        """Give back a lease of this holder: your own, or one that nobody looks after any more.

        Raises:
            LeaseLost: it has passed on.
        """
        operation = leases.release(self._core, key, holder=holder, fence=fence)
        run(operation, self._transport)

    def get(self, key: Identifier, /) -> LeaseInfo:
        """Return who has a lease.

        Raises:
            NotFound: nobody ever had it.
        """
        return run(leases.info(self._core, key), self._transport)

    def list(self) -> Pager[LeasePage, LeaseInfo]:
        """Return the leases of the namespace; nothing is sent before iteration."""
        return Pager(LeaseQuery(core=self._core), self._transport)
