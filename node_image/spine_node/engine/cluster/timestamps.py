"""Issues the versions of this node's writes, each once, whatever its clock does (protocol.md §2.3).

Invariant: no HLC value leaves this process before a durable high-water mark lies above it. On start
the clock begins above the mark, so a crash and a clock set back cannot make two writes tie.
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

AHEAD_MS = 500  # from our wall clock to the mark: below the drift a restarted node may show (1 s)
RENEW_MS = 250  # the mark is moved before it is reached, so that writes do not wait for it


class HlcAllocator:
    """The hybrid clock of a node, with its durable mark."""

    def __init__(self, store: Store, hlc: HybridClock, clock: Clock) -> None:
        self._store, self._hlc, self._clock = store, hlc, clock
        self._mark = store.hlc_high_water
        self._moving: asyncio.Task[None] | None = None
        assert hlc.last >= store.hlc_high_water, "the store was opened with another clock"

    def now(self) -> Hlc:
        """Return the clock without moving it: for frames and pulls."""
        return self._hlc.peek(self._clock.physical_ms())

    def see(self, hlc: Hlc) -> None:
        """Take over a later time that somebody else has issued.

        Raises:
            ClockSkewError: it lies more than the allowed drift ahead.
        """
        self._hlc.see(hlc, self._clock.physical_ms())

    def follow(self, hlc: Hlc) -> None:
        """Take over the time that a session has seen.

        Raises:
            ProblemError: `clock-skew`.
        """
        try:
            self.see(hlc)
        except ClockSkewError as error:
            detail = f"the session has seen a time {error.ahead_ms} ms ahead of this node's clock"
            raise ProblemError("clock-skew", detail) from error

    def tick(self) -> Hlc:
        """Issue a time that becomes no version: the start of a pull."""
        return self._hlc.tick(self._clock.physical_ms())

    async def version(self, store: StoreNumber, left_s: float | None = None) -> Version:
        """Issue the version of a new write of ours; None waits for the disk as long as it takes.

        Raises:
            StorageError: the mark cannot be moved now.
            TimeoutError: it was not moved within `left_s` seconds.
        """
        hlc = self.tick()
        if hlc >= self._mark:
            async with asyncio.timeout(left_s):
                while hlc >= self._mark:
                    await self._move()
        if hlc + hlc_from_ms(RENEW_MS) >= self._mark:
            self._start()
        return make_version(hlc, origin_of(HOME_REGION, store))

    async def _move(self) -> None:
        await asyncio.shield(self._start())

    def _start(self) -> asyncio.Task[None]:
        if self._moving is None or self._moving.done():
            self._moving = asyncio.create_task(self._reserve())
            self._moving.add_done_callback(_note_failure)
        return self._moving

    async def _reserve(self) -> None:
        # Where the hybrid clock is ahead of the wall, a millisecond is enough and all that is safe:
        # each restart begins at the mark, and many of them must not carry us away from our peers.
        ahead = hlc_from_ms(self._clock.physical_ms() + AHEAD_MS)
        mark = max(ahead, Hlc(self._hlc.last + hlc_from_ms(1)))
        await self._store.submit(Reserve(mark))
        self._mark = max(self._mark, mark)


def _note_failure(moving: "asyncio.Task[None]") -> None:
    """Whoever needs the new mark is told by `version`; nobody may be waiting for it yet."""
    if not moving.cancelled() and (error := moving.exception()) is not None:
        logger.warning("mark_not_moved", extra={"why": str(error)})
