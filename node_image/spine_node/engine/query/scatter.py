"""Asks the query indexes of as few stores as cover the key space, and of others where those fail.

One pass runs under one epoch: an answer under another one is no answer (protocol.md R3).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from spine_core.records.encoding import Record
from spine_core.scalars import Hlc, StoreNumber
from spine_core.topology.placement import Placement
from spine_node.clock import Clock
from spine_node.engine.query.coverage import Coverage, slots_read_from, unreadable
from spine_node.engine.query.page_merge import StoreAnswer
from spine_node.search.messages import QueryCall, QueryPage, slots_to_bytes


class QueryReplicas(Protocol):
    """What the coordinator of lists needs of the cluster."""

    def placement(self) -> Placement:
        """Return the placement in force.

        Raises:
            ProblemError: `not-ready`, no document names this node.
        """

    def live(self) -> Sequence[StoreNumber]:
        """Return the stores that can be asked: our own first, then the quickest."""

    def stable(self) -> Hlc:
        """Return the lowest stable time of all slots: writes up to it are on every replica."""

    def observe(self, hlc: Hlc) -> None:
        """Move our clock to at least the time that a session has seen."""

    async def query(
        self, placement: Placement, store: StoreNumber, call: QueryCall, deadline: float
    ) -> QueryPage | None:
        """Ask a store's index under the epoch of `placement`; None without an answer in time."""

    async def quorum_read(self, namespace: str, memory_id: str, deadline: float) -> Record | None:
        """Return the latest acknowledged version of a record, tombstones included."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one pass has brought."""

    placement: Placement
    answers: tuple[StoreAnswer, ...]
    missing: int  # slots (bitmap) that too few stores answered
    unreadable: int = 0  # those of them that damaged records leave too few stores for


class Scatter:
    """Sends one call to many stores."""

    def __init__(self, replicas: QueryReplicas, clock: Clock) -> None:
        self._replicas, self._clock = replicas, clock

    async def gather(
        self, call: QueryCall, wanted: int, *, copies: int, deadline: float
    ) -> Gathered:
        """Ask for the slots `wanted` (bitmap) at `copies` replicas each.

        Whoever does not answer within half of the time left is replaced by others.
        """
        placement = self._replicas.placement()
        held = slots_read_from(placement)
        coverage = Coverage(held, wanted, copies)
        answers: list[StoreAnswer] = []
        while calls := coverage.next_calls(self._replicas.live()):
            now = self._clock.now()
            pages = await self._ask(placement, call, calls, now + (deadline - now) / 2)
            for (store, slots), page in zip(calls.items(), pages, strict=True):
                if page is not None:
                    answer = StoreAnswer.of(store, slots, page)
                    coverage.answered(answer.slots)
                    answers.append(answer)
        damaged: dict[StoreNumber, int] = {}
        for answer in answers:
            damaged[answer.store] = damaged.get(answer.store, 0) | answer.damaged
        lost = unreadable(held, damaged, coverage.missing, copies)
        return Gathered(placement, tuple(answers), coverage.missing, lost)

    async def _ask(
        self,
        placement: Placement,
        call: QueryCall,
        calls: Mapping[StoreNumber, int],
        deadline: float,
    ) -> list[QueryPage | None]:
        asking = (
            self._replicas.query(
                placement,
                store,
                msgspec.structs.replace(call, slots=slots_to_bytes(slots)),
                deadline,
            )
            for store, slots in calls.items()
        )
        return await asyncio.gather(*asking)
