"""Explicit-state model of a topology change: one slot, one weak write, one quorum read.

The documents, placements, quorums, barriers, sources and epoch rules are the product's own. All
else is the adversary's: when nodes adopt, when messages arrive (or never), which published epoch a
coordinator still uses, when a pull reads its source. A store that stops is one that is never
scheduled again.

Property: a quorum read that begins after the write was acknowledged finds it.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

from models.clusters import document, joining, store
from models.search import trace_of, with_item
from spine_core.records.versions import make_version
from spine_core.replication.pull_sources import sources_of
from spine_core.replication.put_rules import (
    EpochVerdict,
    PutKind,
    PutVerdict,
    judge_epoch,
    judge_put,
)
from spine_core.replication.quorums import read_done, slots_without_barrier, write_done
from spine_core.scalars import Hlc, Origin, Slot, StoreNumber
from spine_core.topology.document import Document, Phase
from spine_core.topology.placement import Placement

SLOT = Slot(0)
VERSION = make_version(Hlc(1), Origin(1))
NOT_BEGUN = -1

Stores = frozenset[StoreNumber]
QuorumRule = Callable[[Placement, Slot, AbstractSet[StoreNumber]], bool]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The product's rules; a test takes one away to see that the model misses it."""

    write_done: QuorumRule = write_done
    read_done: QuorumRule = read_done
    slots_without_barrier: Callable[[Placement, AbstractSet[StoreNumber]], int] = (
        slots_without_barrier
    )
    sources_of: Callable[
        [Placement, Slot, StoreNumber, AbstractSet[StoreNumber]], tuple[StoreNumber, ...] | None
    ] = sources_of
    judge_epoch: Callable[[int, int], EpochVerdict] = judge_epoch
    judge_pull: Callable[[int, int], EpochVerdict] = judge_epoch
    atomic: bool = True  # the epoch check and the write are one step of the replica


class State(NamedTuple):
    """One state of the world. Epochs count from 0 along the chain of documents."""

    published: int
    epochs: tuple[int, ...]  # of each store, by its place in `Model.stores`
    holding: Stores  # the write is on their disks
    pulled: Stores  # sources that the gaining store has read in this change
    write: int = NOT_BEGUN  # the epoch its coordinator uses
    write_pending: Stores = frozenset()
    checked: Stores = frozenset()  # stores between the epoch check and the write (a mutant)
    acks: Stores = frozenset()
    acknowledged: bool = False
    read: int = NOT_BEGUN
    read_pending: Stores = frozenset()
    answers: Stores = frozenset()
    found: bool = False


@dataclass(frozen=True)
class Outcome:
    """How many states there are, and the steps to one that breaks the property.

    `found_at` are the epochs at which some read found the write: a model that reaches nothing
    proves nothing.
    """

    states: int
    found_at: frozenset[int]
    trace: tuple[str, ...] | None


@dataclass(frozen=True)
class Model:
    """A chain of documents that are published one after another.

    Stores in `lost` take part in the first epoch and are never heard of again.
    """

    chain: Sequence[Document]
    rules: Rules = Rules()
    lost: Stores = frozenset()

    @cached_property
    def placements(self) -> tuple[Placement, ...]:
        return tuple(Placement(doc) for doc in self.chain)

    @cached_property
    def stores(self) -> tuple[StoreNumber, ...]:
        return tuple(sorted(frozenset().union(*(doc.members() for doc in self.chain))))

    @cached_property
    def gaining(self) -> StoreNumber | None:
        """The store that gains the slot; None when the chain never says so."""
        gained = [store for placed in self.placements for store in placed.gained()]
        return gained[0] if gained else None

    @cached_property
    def source_sets(self) -> frozenset[Stores]:
        """What the product would pull from, whichever stores seem alive to it."""
        placed = next(p for p in self.placements if p.phase is Phase.PREPARE)
        assert self.gaining is not None
        old = placed.current(SLOT)
        seen = [frozenset(some) for n in range(4) for some in combinations(old, n)]
        chosen = [self.rules.sources_of(placed, SLOT, self.gaining, live) for live in seen]
        return frozenset(frozenset(sources) for sources in chosen if sources is not None)

    def explore(self, *, limit: int = 400_000) -> Outcome:
        """Visit every state, depth first; stop at the first one that breaks the property."""
        start = State(0, (0,) * len(self.stores), frozenset(), frozenset())
        parents: dict[State, tuple[State, str] | None] = {start: None}
        stack = [start]
        found_at: set[int] = set()
        while stack:
            state = stack.pop()
            for label, after in self._steps(state):
                if after.found:
                    found_at.add(after.read)
                if after in parents or self._is_over(after):
                    continue
                parents[after] = (state, label)
                if self._is_broken(after):
                    return Outcome(len(parents), frozenset(found_at), trace_of(after, parents))
                stack.append(after)
            assert len(parents) < limit, "the model has grown out of hand"
        return Outcome(len(parents), frozenset(found_at), None)

    def _is_broken(self, state: State) -> bool:
        done = state.read != NOT_BEGUN and self.rules.read_done(
            self.placements[state.read], SLOT, state.answers
        )
        return done and not state.found

    def _is_over(self, state: State) -> bool:
        """Whether the read has found the write, or write or read can never finish."""
        if state.found:
            return True
        if state.write == NOT_BEGUN or state.acknowledged:
            possible = state.answers | state.read_pending
            return state.read != NOT_BEGUN and not self.rules.read_done(
                self.placements[state.read], SLOT, possible
            )
        possible = state.acks | state.write_pending | state.checked
        return not self.rules.write_done(self.placements[state.write], SLOT, possible)

    def _steps(self, state: State) -> Iterator[tuple[str, State]]:
        yield from self._publish(state)
        yield from self._adopt(state)
        yield from self._pull(state)
        yield from self._begin(state)
        yield from self._deliver_write(state)
        yield from self._deliver_read(state)

    def _publish(self, state: State) -> Iterator[tuple[str, State]]:
        after = state.published + 1
        if after == len(self.chain):
            return
        acked = frozenset(
            store
            for store, epoch in zip(self.stores, state.epochs, strict=True)
            if epoch == state.published
        )
        if self.rules.slots_without_barrier(self.placements[state.published], acked):
            return
        leaves_prepare = self.chain[state.published].phase is Phase.PREPARE
        goes_on = self.chain[after].phase is Phase.SWITCH or (
            self.chain[after].current != self.chain[0].current
        )
        if leaves_prepare and goes_on and not self._is_pulled(state):
            return
        yield f"publish {self.chain[after].phase}", state._replace(published=after)

    def _is_pulled(self, state: State) -> bool:
        return any(sources <= state.pulled for sources in self.source_sets)

    def _adopt(self, state: State) -> Iterator[tuple[str, State]]:
        for place, one in enumerate(self.stores):
            if one in self.lost:
                continue
            for epoch in range(state.epochs[place] + 1, state.published + 1):
                after = state._replace(epochs=with_item(state.epochs, place, epoch))
                if one not in self.placements[epoch].write_set(SLOT):
                    # It drops the slot, at once in the worst case.
                    after = after._replace(holding=after.holding - {one})
                    if one == self.gaining:
                        after = after._replace(pulled=frozenset())
                yield f"store {one} adopts {epoch}", self._forget(after)

    def _forget(self, state: State) -> State:
        """Drop messages to stores that are past their epoch: they can never be executed."""
        write, read = state.write_pending, state.read_pending
        for one, epoch in zip(self.stores, state.epochs, strict=True):
            if epoch > state.write and self._refuses(state.write, epoch):
                write -= {one}
            if epoch > state.read and self._refuses(state.read, epoch):
                read -= {one}
        return state._replace(write_pending=write, read_pending=read)

    def _refuses(self, request: int, mine: int) -> bool:
        return self.rules.judge_epoch(request, mine) is not EpochVerdict.OK

    def _epoch_of(self, state: State, one: StoreNumber) -> int:
        return state.epochs[self.stores.index(one)]

    def _pull(self, state: State) -> Iterator[tuple[str, State]]:
        if self.gaining is None:
            return
        mine = self._epoch_of(state, self.gaining)
        placed = self.placements[mine]
        if placed.phase is not Phase.PREPARE:
            return
        for source in placed.current(SLOT):
            if source in state.pulled or source in self.lost:
                continue
            if self.rules.judge_pull(mine, self._epoch_of(state, source)) is not EpochVerdict.OK:
                continue
            got = {self.gaining} if source in state.holding else set()
            after = state._replace(pulled=state.pulled | {source}, holding=state.holding | got)
            yield f"pull from {source}", after

    def _begin(self, state: State) -> Iterator[tuple[str, State]]:
        for epoch in range(state.published + 1):
            placed = self.placements[epoch]
            if state.write == NOT_BEGUN:
                to = frozenset(placed.write_set(SLOT))
                yield (
                    f"write at {epoch}",
                    self._forget(state._replace(write=epoch, write_pending=to)),
                )
            if state.acknowledged and state.read == NOT_BEGUN:
                to = frozenset(placed.read_set(SLOT))
                yield (
                    f"read at {epoch}",
                    self._forget(state._replace(read=epoch, read_pending=to)),
                )

    def _deliver_write(self, state: State) -> Iterator[tuple[str, State]]:
        for one in sorted(state.write_pending):
            if self._refuses(state.write, self._epoch_of(state, one)):
                continue
            pending = state.write_pending - {one}
            if self.rules.atomic:
                yield self._apply(state._replace(write_pending=pending), one)
            else:
                checked = state.checked | {one}
                yield f"store {one} checks", state._replace(write_pending=pending, checked=checked)
        for one in sorted(state.checked):
            yield self._apply(state._replace(checked=state.checked - {one}), one)

    def _apply(self, state: State, one: StoreNumber) -> tuple[str, State]:
        verdict = judge_put(
            version=VERSION,
            held=VERSION if one in state.holding else None,
            has_register=False,
            floor=Hlc(0),
            now_hlc=Hlc(1),
            kind=PutKind.WRITE,
        )
        assert verdict in (PutVerdict.APPLY, PutVerdict.ALREADY), "one version has no rival"
        acks = state.acks | {one}
        done = state.acknowledged or self.rules.write_done(self.placements[state.write], SLOT, acks)
        after = state._replace(holding=state.holding | {one}, acks=acks, acknowledged=done)
        return f"store {one} writes", after

    def _deliver_read(self, state: State) -> Iterator[tuple[str, State]]:
        for one in sorted(state.read_pending):
            if self._refuses(state.read, self._epoch_of(state, one)):
                continue
            yield (
                f"store {one} answers",
                state._replace(
                    read_pending=state.read_pending - {one},
                    answers=state.answers | {one},
                    found=state.found or one in state.holding,
                ),
            )


def before_a_join() -> Document:
    """Return a cluster of one slot whose store on a0 is displaced when a1 joins."""
    return document("a0 b0 c0", slots=1, virtual_nodes=1)


def join() -> Document:
    """Return the prepare of a join that moves the one slot."""
    return joining(before_a_join(), "a1")


def drain() -> Document:
    """Return the prepare of a drain that moves the one slot back."""
    four = join().switched().committed(now_ms=0)
    return four.with_change("drain", leaving=frozenset({"a1"}), now_ms=0)


def replacement() -> Document:
    """Return the prepare of a change that gives a0 a new disk."""
    return before_a_join().with_change("replace", joining=(store("a0", 9),), now_ms=0)
