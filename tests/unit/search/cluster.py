"""Several stores with their indexes, and the port through which a coordinator of lists sees them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from spine_core.errors import ProblemError
from spine_core.records.consistency import Consistency, Model
from spine_core.records.encoding import Record
from spine_core.records.filters import canonical, parse_filter
from spine_core.records.ids import slot_of
from spine_core.records.sessions import Session
from spine_core.records.versions import Version, hlc_from_ms, make_version
from spine_core.replication.quorums import majority
from spine_core.scalars import HLC_ZERO, Hlc, Origin, StoreNumber
from spine_core.topology.document import Document, StoreInfo
from spine_core.topology.placement import Placement
from spine_node.clock import Clock
from spine_node.engine.query.list_coordinator import ListCoordinator
from spine_node.ports import ListOrder, ListOutcome, ListRequest
from spine_node.search.limits import LIMITS, IndexLimits
from spine_node.search.messages import QueryCall, QueryPage
from spine_node.store import key_of
from unit.search.harness import (
    DEADLINE_S,
    EPOCH,
    NOW_MS,
    SLOTS,
    IndexHarness,
    opened_harness,
    record_of,
)

PAGE_KEYS = (b"page key of this cluster",)


class StillClock(Clock):
    """A clock whose wall stands still."""

    def physical_ms(self) -> int:
        return NOW_MS


def placed(numbers: Sequence[int], *, factor: int = 3, epoch: int = EPOCH) -> Placement:
    """Return a stable placement of these stores."""
    seats = {f"s-{number}": StoreNumber(number) for number in numbers}
    stores = {
        number: StoreInfo(id=f"id-{number}", seat=seat, zone=seat, url="http://x")
        for seat, number in seats.items()
    }
    return Placement(
        Document(
            cluster_id="c",
            epoch=epoch,
            slots=SLOTS,
            virtual_nodes=20,
            factor=factor,
            write_quorum=majority(factor),
            zone_policy="none",
            stores=stores,
            current=seats,
            next_number=max(numbers) + 1,
        )
    )


@dataclass(slots=True)
class IndexedStores:
    """`QueryReplicas` of the node whose store is `here`; tests move it and take stores down."""

    harnesses: dict[int, IndexHarness]
    now: Placement
    here: int = 1
    down: set[int] = field(default_factory=set)
    silent: set[int] = field(default_factory=set)  # up, but without an answer
    stable_hlc: Hlc = HLC_ZERO
    asked: list[int] = field(default_factory=list)
    verified: list[str] = field(default_factory=list)
    stamps: int = 0

    def placement(self) -> Placement:
        return self.now

    def live(self) -> Sequence[StoreNumber]:
        up = sorted(set(self.harnesses) - self.down, key=lambda number: number != self.here)
        return [StoreNumber(number) for number in up]

    def stable(self) -> Hlc:
        return self.stable_hlc

    def observe(self, hlc: int) -> None:
        """Clocks stand still here."""

    async def query(
        self, placement: Placement, store: int, call: QueryCall, deadline: float
    ) -> QueryPage | None:
        assert placement is self.now
        self.asked.append(store)
        if store in self.down | self.silent:
            return None
        try:
            return await self.harnesses[store].index.answer(call, deadline)
        except ProblemError:
            return None

    async def quorum_read(self, namespace: str, memory_id: str, deadline: float) -> Record | None:
        assert asyncio.get_running_loop().time() < deadline
        self.verified.append(memory_id)
        slot = slot_of(namespace, memory_id, SLOTS)
        holders = [n for n in self.now.read_set(slot) if n not in self.down]
        if len(holders) < majority(self.now.factor):
            raise ProblemError("quorum-unavailable", "too few")
        key = key_of(slot, namespace, memory_id)
        copies = [copy for number in holders if (copy := self.harnesses[number].intact(key))]
        return max(copies, key=lambda copy: copy.version, default=None)

    async def write(
        self,
        memory_id: str,
        memory: dict[str, object] | None,
        *,
        missing: Collection[int] = (),
        namespace: str = "team",
        created_ms: int = NOW_MS,
    ) -> Version:
        """Store a version on the replicas of a record, except on those that miss it."""
        self.stamps += 1
        version = make_version(Hlc(hlc_from_ms(NOW_MS) + self.stamps), Origin(1))
        raw = record_of(memory, version, created_ms=created_ms)
        for number in self.now.write_set(slot_of(namespace, memory_id, SLOTS)):
            if number not in missing:
                await self.harnesses[number].put(namespace, memory_id, raw)
        return version

    async def list(
        self,
        where: object = None,
        *,
        model: Model | None = Model.STRONG,
        session: Session | None = None,
        order: ListOrder = "created_at",
        page_size: int = 50,
        token: str | None = None,
        wait_s: float = DEADLINE_S,
    ) -> ListOutcome:
        """List as a client of the node `here` does."""
        parsed = parse_filter(where or {})
        querying = ListCoordinator(self, StillClock(), lambda: PAGE_KEYS, Consistency)
        return await querying.list(
            ListRequest(
                namespace="team",
                scope="exact",
                filter=parsed,
                filter_hash=hashlib.sha256(canonical(parsed)).digest(),
                order=order,
                page_size=page_size,
                page_token=token,
                session=session,
                deadline=asyncio.get_running_loop().time() + wait_s,
                model=model,
            )
        )


def ids(outcome: ListOutcome) -> list[str]:
    return [item.memory_id for item in outcome.items]


@asynccontextmanager
async def opened_cluster(
    path: Path, nodes: int = 3, factor: int = 3, *, limits: IndexLimits = LIMITS
) -> AsyncIterator[IndexedStores]:
    """Open stores 1 to `nodes`."""
    numbers = range(1, nodes + 1)
    async with AsyncExitStack() as stack:
        harnesses = {
            number: await stack.enter_async_context(
                opened_harness(path / str(number), number, limits=limits)
            )
            for number in numbers
        }
        yield IndexedStores(harnesses, placed(numbers, factor=factor))
