"""Issues the versions of this node's writes, each once, whatever its clock does (protocol.md §2.3).

Invariant: no HLC value leaves this process before a durable high-water mark lies above it. On start
the clock begins above that mark, so a crash and a clock set back cannot make two writes tie.
"""

import asyncio
import logging

from spine_core.errors import ClockSkewError, ProblemError
from spine_core.records.hlc import HybridClock
from spine_core.records.versions import Version, hlc_from_ms, make_version
from spine_core.scalars import HOME_REGION, Hlc, StoreNumber, origin_of
from spine_node.clock import Clock
from spine_node.store import Store
from spine_node.store.operations import Reserve

logger = logging.getLogger("spine.engine")

AHEAD_MS = 500  # from our wall clock to the high-water mark: below the drift a restarted node may show (1 s)
RENEW_MS = 250  # the mark is raised before it is reached, so that writes do not wait for it


class HlcAllocator:
    """The hybrid clock of a node, with its durable high-water mark."""

    def __init__(self, store: Store, hlc: HybridClock, clock: Clock) -> None:
        self._store, self._hlc, self._clock = store, hlc, clock
        self._high_water = store.hlc_high_water
        self._raising: asyncio.Task[None] | None = None
        assert hlc.last >= store.hlc_high_water, "the store was opened with another clock"

    def now(self) -> Hlc:
        """Return the clock without moving it: for frames and pulls."""
        return self._hlc.peek(self._clock.physical_ms())

    def observe(self, hlc: Hlc) -> None:
        """Move our clock to a later time that somebody else has issued.

        Raises:
            ClockSkewError: it lies more than the allowed drift ahead.
        """
        self._hlc.observe(hlc, self._clock.physical_ms())

    def observe_session(self, hlc: Hlc) -> None:
        """Move our clock to the time that a session has seen.

        Raises:
            ProblemError: `clock-skew`.
        """
        try:
            self.observe(hlc)
        except ClockSkewError as error:
            detail = f"the session has seen a time {error.ahead_ms} ms ahead of this node's clock"
            raise ProblemError("clock-skew", detail) from error

    def tick(self) -> Hlc:
        """Issue a time that becomes no version: the start of a pull."""
        return self._hlc.tick(self._clock.physical_ms())

    async def version(self, store: StoreNumber, left_s: float | None = None) -> Version:
        """Issue the version of a new write of ours; None waits for the disk as long as it takes.

        Raises:
            StorageError: the high-water mark cannot be raised now.
            TimeoutError: it was not raised within `left_s` seconds.
        """
        hlc = self.tick()
        if hlc >= self._high_water:
            async with asyncio.timeout(left_s):
                while hlc >= self._high_water:
                    await self._raise()
        if hlc + hlc_from_ms(RENEW_MS) >= self._high_water:
            self._start()
        return make_version(hlc, origin_of(HOME_REGION, store))

    async def _raise(self) -> None:
        await asyncio.shield(self._start())

    def _start(self) -> asyncio.Task[None]:
        if self._raising is None or self._raising.done():
            self._raising = asyncio.create_task(self._reserve())
            self._raising.add_done_callback(_note_failure)
        return self._raising

    async def _reserve(self) -> None:
        # Where the hybrid clock is ahead of the wall, a millisecond is enough and all that is safe:
        # each restart begins at the mark, and many of them must not carry us away from our peers.
        ahead = hlc_from_ms(self._clock.physical_ms() + AHEAD_MS)
        high_water = max(ahead, Hlc(self._hlc.last + hlc_from_ms(1)))
        await self._store.submit(Reserve(high_water))
        self._high_water = max(self._high_water, high_water)


def _note_failure(raising: "asyncio.Task[None]") -> None:
    """Log why the mark was not raised; whoever needs it is told by `version`."""
    if not raising.cancelled() and (error := raising.exception()) is not None:
        logger.warning("high_water_not_raised", extra={"why": str(error)})
