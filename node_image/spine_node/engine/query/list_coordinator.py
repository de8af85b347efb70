"""The coordinator of lists: asks the query indexes of several stores and merges their pages.

Eventual: one replica of every slot, as far as its index has come. Read-your-writes: the same from
indexes brought to the head of their feeds, if they show every own write of the session; else as the
stronger models. Causal and strong: a majority of the replicas of every slot, and whatever they do not
agree on is read by quorum, because a union alone brings deleted records back (protocol.md §12.3).

A session names its writes by key hash, which tells neither slot nor namespace. So an own write counts
as shown when *some* answering store shows it, live or deleted, in a slot it answers for. A majority of
every slot needs no such proof: it shares a replica with every acknowledged write.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from spine_core.errors import ProblemError
from spine_core.records.consistency import Consistency, Model
from spine_core.records.encoding import Record, decode, is_absent
from spine_core.records.filters import Filter, Test, canonical, conjuncts, demanded_tags, matches
from spine_core.records.ids import slot_of
from spine_core.records.sessions import Session
from spine_core.records.versions import hlc_of
from spine_core.replication.quorums import majority
from spine_core.scalars import HLC_ZERO
from spine_node.clock import Clock
from spine_node.engine.coordinator.attempts import AttemptFailedError, Backoff, attempts
from spine_node.engine.query.page_merge import Merged, frontier_of, merged, unknown_needs
from spine_node.engine.query.page_tokens import position_of_token, token_after
from spine_node.engine.query.scatter import Gathered, QueryReplicas, Scatter
from spine_node.ports import ListItem, ListOutcome, ListRequest
from spine_node.search.entries import created_ms_of, memory_of
from spine_node.search.messages import Position, QueryCall, comes_before, position_of
from spine_node.store import checksum

__all__ = ["ListCoordinator", "QueryReplicas"]

BACKOFF: Final = Backoff(first_s=0.05, max_s=0.05)
VERIFYING_MAX: Final = 32  # quorum reads of one page at the same time

Needs = tuple[tuple[int, bytes], ...]  # (key hash, version)
_Placed = tuple[Position, ListItem]


class ListCoordinator:
    """Coordinates lists on any node."""

    def __init__(
        self,
        replicas: QueryReplicas,
        clock: Clock,
        page_keys: Callable[[], Sequence[bytes]],
        consistency: Callable[[], Consistency],
    ) -> None:
        self._replicas, self._clock = replicas, clock
        self._page_keys, self._consistency = page_keys, consistency

    async def list(self, request: ListRequest) -> ListOutcome:
        """Answer one page.

        Raises:
            ProblemError: `invalid-request` (page token), `coverage-incomplete`,
                `session-unsatisfied`, `quorum-unavailable`, `not-ready`.
        """
        keys = self._page_keys()
        session = request.session or Session()
        self._replicas.observe(session.t)
        model = self._consistency().resolve(request.model, demanded_tags(request.filter))
        page = _Page(self._replicas, self._clock, request, model, position_of_token(request, keys))
        gathered = await page.gather()
        items, end = await page.items_of(gathered)
        slots = len(gathered.placement.slots)
        return ListOutcome(
            items=items,
            next_page_token=token_after(request, end, keys) if end else None,
            slots=slots,
            answered=slots - gathered.missing.bit_count(),
            model=model,
            session=session.saw(
                max((hlc_of(item.record.version) for item in items), default=HLC_ZERO)
            ),
            index_lag_ms=max(answer.page.lag_ms for answer in gathered.answers),
        )


class _Page:
    """One page on its way: what was asked, where it begins, at which model."""

    def __init__(
        self,
        replicas: QueryReplicas,
        clock: Clock,
        request: ListRequest,
        model: Model,
        after: Position | None,
    ) -> None:
        self._replicas, self._clock, self._request = replicas, clock, request
        self._model, self._after = model, after
        self._scatter = Scatter(replicas, clock)
        self._now_ms = clock.physical_ms()
        self._unmet = False  # an attempt covered every slot, and an own write was not shown

    async def gather(self) -> Gathered:
        """Ask until the model is satisfied, or the deadline has come."""
        try:
            return await attempts(self._attempt, self._clock, self._request.deadline, BACKOFF)
        except AttemptFailedError as failed:
            raise failed.problem from None

    async def items_of(self, gathered: Gathered) -> tuple[tuple[ListItem, ...], Position | None]:
        """Return the records of the page, and where the next one begins: None at the end."""
        order, size = self._request.order, self._request.page_size
        frontier = frontier_of(gathered.answers, order)
        found = merged(gathered.answers, order)
        doubtful = {address for answer in gathered.answers for address in answer.page.open}
        doubtful |= {(each.namespace, each.memory_id) for each in found if not each.agreed}
        placed = [
            self._placed(each) for each in found if (each.namespace, each.memory_id) not in doubtful
        ]
        placed += await self._verified(sorted(doubtful), frontier)
        placed.sort(key=lambda each: each[0], reverse=order == "-created_at")
        if len(placed) > size:
            frontier = placed[size - 1][0]
        return tuple(item for _, item in placed[:size]), frontier

    async def _attempt(self) -> Gathered:
        """Make one pass, two if the session is not satisfied by one."""
        if self._model is Model.EVENTUAL:
            gathered = await self._pass(copies=1)
            partial = gathered.answers and gathered.placement is self._replicas.placement()
            if partial or not gathered.missing:
                return gathered
            raise _uncovered(gathered)
        needs = self._needs() if self._model is Model.READ_YOUR_WRITES else None
        if needs is not None:
            gathered = await self._pass(copies=1, needs=needs)
            if not gathered.missing:
                self._unmet = bool(unknown_needs(gathered.answers, (hashed for hashed, _ in needs)))
                if not self._unmet:
                    return gathered
        gathered = await self._pass(copies=majority(self._replicas.placement().factor))
        if not gathered.missing:
            return gathered
        raise AttemptFailedError(_unsatisfied()) if self._unmet else _uncovered(gathered)

    def _needs(self) -> Needs | None:
        """Return the own writes that some replica may lack; None if they are not all known."""
        if self._request.session is None:
            return None
        past = self._request.session.trimmed(self._replicas.stable())
        return None if past.o else past.writes

    async def _pass(self, *, copies: int, needs: Needs = ()) -> Gathered:
        request = self._request
        call = QueryCall(
            namespace=request.namespace,
            subtree=request.scope == "subtree",
            filter=canonical(request.filter),
            order=request.order,
            after=self._after,
            limit=request.page_size + 1,  # one more tells whether another page follows
            slots=b"",  # told to each store by itself
            needs=needs,
            fresh=self._model is not Model.EVENTUAL,
            now_ms=self._now_ms,
        )
        wanted = _slots_in_question(request, len(self._replicas.placement().slots))
        return await self._scatter.gather(call, wanted, copies=copies, deadline=request.deadline)

    def _placed(self, found: Merged) -> _Placed:
        record = decode(found.candidate.raw, checksum)
        return found.candidate.position, ListItem(
            namespace=found.namespace, memory_id=found.memory_id, record=record
        )

    async def _verified(
        self, doubtful: Sequence[tuple[str, str]], frontier: Position | None
    ) -> list[_Placed]:
        """Read by quorum what the replicas do not agree on; keep what belongs on this page."""
        gate = asyncio.Semaphore(VERIFYING_MAX)

        async def verify(address: tuple[str, str]) -> _Placed | None:
            async with gate:
                record = await self._replicas.quorum_read(*address, self._request.deadline)
            return None if record is None else self._matching(address, record, frontier)

        checked = await asyncio.gather(*map(verify, doubtful))
        return [each for each in checked if each is not None]

    def _matching(
        self, address: tuple[str, str], record: Record, frontier: Position | None
    ) -> _Placed | None:
        if is_absent(record, self._now_ms):
            return None
        namespace, memory_id = address
        order = self._request.order
        position = position_of(order, created_ms_of(record), namespace, memory_id)
        if self._after is not None and not comes_before(order, self._after, position):
            return None
        if frontier is not None and comes_before(order, frontier, position):
            return None  # it is found again by the page that reaches it
        if not matches(self._request.filter, memory_of(namespace, memory_id, record), self._now_ms):
            return None
        return position, ListItem(namespace=namespace, memory_id=memory_id, record=record)


def _uncovered(gathered: Gathered) -> AttemptFailedError:
    """Say why slots are missing; where damaged records are why, another attempt misses them too."""
    lost, slots = gathered.unreadable.bit_count(), len(gathered.placement.slots)
    if lost:
        detail = (
            f"{lost} of {slots} slots hold a record whose copies are damaged; the log names it "
            "(record_damaged), writing or deleting it mends it, and eventual reads list the rest"
        )
    else:
        lacking = gathered.missing.bit_count()
        detail = f"{lacking} of {slots} slots did not answer in time (Spine-Timeout-Ms)"
    return AttemptFailedError(ProblemError("coverage-incomplete", detail), final=bool(lost))


def _unsatisfied() -> ProblemError:
    detail = "a write of this session is not on the replicas that can be reached"
    return ProblemError("session-unsatisfied", detail)


def _slots_in_question(request: ListRequest, slots: int) -> int:
    """Return the slots (bitmap) that can hold a match: one when the filter fixes the partition."""
    if request.scope == "exact":
        for part in conjuncts(request.filter):
            routed = _fixed_id(part)
            if routed is not None:
                return 1 << slot_of(request.namespace, routed, slots)
    return (1 << slots) - 1


def _fixed_id(part: Filter) -> str | None:
    """Return an id that shares its slot with every id the test lets through."""
    match part:
        case Test(field="id", op="$eq", operand=str(memory_id)):
            return memory_id
        case Test(field="id", op="$prefix", operand=str(prefix)) if "~" in prefix:
            return prefix
    return None
