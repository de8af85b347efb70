"""Completes the rounds that others have left behind (protocol.md §7.5).

A proposer that stops between its promises and its answer leaves replicas that refuse weak puts, and
values that are accepted and not learned, which hold stable time back. The next operation on the record
finishes them; where none comes, this does, by a round that changes nothing.
"""

import asyncio
import logging

from spine_core.errors import ProblemError
from spine_core.scalars import Slot
from spine_node.engine.cluster.context import Context
from spine_node.engine.coordinator.rounds import IDENTITY, Rounds
from spine_node.engine.coordinator.target import Target
from spine_node.store.draft import OpenRound
from spine_node.store.layout import slot_of_key

logger = logging.getLogger("spine.engine")

LOOK_S = 1.0
ABANDONED_S = 5.0  # after which a round that has not moved is nobody's
ROUNDS_MAX = 50  # of one look, so that they are no load
ROUND_TIMEOUT_S = 1.0


class Reaper:
    """The reaper of one node."""

    def __init__(self, context: Context, rounds: Rounds) -> None:
        self._context, self._rounds = context, rounds
        self._seen: dict[bytes, tuple[OpenRound, float]] = {}  # key → round, when it was seen first

    async def run(self) -> None:
        """Look for abandoned rounds until cancelled."""
        while True:
            await self._context.clock.sleep(self._context.clock.jittered(LOOK_S))
            await self.look()

    async def look(self) -> None:
        """Complete what has not moved for a while."""
        abandoned = self._abandoned()[:ROUNDS_MAX]
        if self._context.membership.member is not None:
            await asyncio.gather(*map(self._complete, abandoned))

    def _abandoned(self) -> list[bytes]:
        now, store = self._context.clock.now(), self._context.store
        seen = {}
        for key, one in store.open_rounds.items():
            if slot_of_key(key) not in store.owned:
                continue  # it goes with its slot
            before = self._seen.get(key)
            seen[key] = before if before is not None and before[0] == one else (one, now)
        self._seen = seen
        return [key for key, (_, since) in seen.items() if now - since >= ABANDONED_S]

    async def _complete(self, key: bytes) -> None:
        deadline = self._context.clock.now() + ROUND_TIMEOUT_S
        try:
            await self._rounds.run(Target(Slot(slot_of_key(key)), key, deadline), IDENTITY)
        except ProblemError as error:
            logger.info("round_not_completed", extra={"why": error.detail})
        else:
            self._context.metrics.registers_reaped.inc()
