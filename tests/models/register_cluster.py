"""The stores of the register model, and the documents that are published one after another."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations

from models.epoch_model import before_a_join
from models.register_world import SLOT, State, with_column
from spine_core.replication.pull_sources import displaced_by, sources_of
from spine_core.replication.put_rules import EpochVerdict, judge_epoch
from spine_core.replication.quorums import slots_without_barrier, write_done
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import Document, Phase
from spine_core.topology.placement import Placement

Places = frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The product's rules; a test takes one away to see that the model misses it."""

    slots_without_barrier: Callable[[Placement, AbstractSet[StoreNumber]], int] = (
        slots_without_barrier
    )
    sources_of: Callable[
        [Placement, Slot, StoreNumber, AbstractSet[StoreNumber]], tuple[StoreNumber, ...] | None
    ] = sources_of
    judge_epoch: Callable[[int, int], EpochVerdict] = judge_epoch
    pinned: bool = True  # both halves of a round belong to the epoch in which it began


@dataclass(frozen=True, eq=False)
class Cluster:
    """A chain of documents.

    `unreachable`: the displaced store gives no copy to the one that gains the slot, which pulls from
    the others; it may serve all else, or be lost, which is never to be scheduled again.
    """

    chain: Sequence[Document] = (before_a_join(),)
    rules: Rules = Rules()
    unreachable: bool = False

    @cached_property
    def placements(self) -> tuple[Placement, ...]:
        return tuple(Placement(document) for document in self.chain)

    @cached_property
    def stores(self) -> tuple[StoreNumber, ...]:
        """All stores: first those that stay, then the displaced one, then the one that gains."""
        for placed in self.placements:
            for gaining in placed.gained():
                displaced = displaced_by(placed, SLOT, gaining)
                return (*sorted({*placed.current(SLOT)} - {displaced}), displaced, gaining)
        return tuple(sorted(self.placements[0].write_set(SLOT)))

    @cached_property
    def alike(self) -> int:
        """How many of the first stores play the same part."""
        return min(len(self.stores), 3) if len(self.chain) == 1 else 2

    @cached_property
    def members(self) -> tuple[tuple[int, ...], ...]:
        """The places that writes go to, of each epoch."""
        return tuple(self._places(placed.write_set(SLOT)) for placed in self.placements)

    @cached_property
    def readers(self) -> tuple[tuple[int, ...], ...]:
        return tuple(self._places(placed.read_set(SLOT)) for placed in self.placements)

    @cached_property
    def quorums(self) -> tuple[tuple[Places, ...], ...]:
        """The smallest write quorums of each epoch."""
        return tuple(
            _smallest(members, partial(self.write_done, epoch))
            for epoch, members in enumerate(self.members)
        )

    def write_done(self, epoch: int, places: AbstractSet[int]) -> bool:
        stores = {self.stores[place] for place in places}
        return write_done(self.placements[epoch], SLOT, stores)

    def may_serve(self, state: State, place: int, epoch: int) -> bool:
        """Whether a store executes a request of an epoch, now or later."""
        mine = state.columns[place].epoch
        return epoch >= mine or self.rules.judge_epoch(epoch, mine) is EpochVerdict.OK

    def at_epoch(self, state: State, place: int, epoch: int) -> State | None:
        """Return the state in which the store serves a request of the epoch, None if it refuses."""
        if epoch > state.published or not self.may_serve(state, place, epoch):
            return None
        column = state.columns[place]
        if column.epoch >= epoch:
            return state
        return with_column(state, place, column._replace(epoch=epoch))

    def publish(self, state: State) -> Iterator[tuple[str, State]]:
        """Publish the next document, past the barrier of the one before it."""
        now, after = state.published, state.published + 1
        if after == len(self.chain) or not self._may_leave(state, after):
            return
        acked = [place for place, column in enumerate(state.columns) if column.epoch == now]
        more = [place for place in range(len(self.stores)) if place not in acked]
        placed = self.placements[now]

        def passed(some: Places) -> bool:
            stores = {self.stores[place] for place in (*acked, *some)}
            return not self.rules.slots_without_barrier(placed, stores)

        for some in _smallest(more, passed):
            columns = tuple(
                column._replace(epoch=now) if place in some else column
                for place, column in enumerate(state.columns)
            )
            label = f"{sorted(some)} adopt {now}; publish {after} ({self.chain[after].phase})"
            yield label, state._replace(columns=columns, published=after)

    def pull(
        self, state: State, transferred: Callable[[int, int], int]
    ) -> Iterator[tuple[str, State]]:
        """Let the store that gains the slot pull from one of its sources."""
        gaining = len(self.stores) - 1
        for epoch in range(state.published + 1):
            if self.placements[epoch].phase is not Phase.PREPARE:
                continue
            for place in sorted(set().union(*self.source_sets)):
                if state.columns[place].pulled:
                    continue
                there = self.at_epoch(state, place, epoch)
                here = there and self.at_epoch(there, gaining, epoch)
                if here is None:
                    continue
                source, mine = here.columns[place], here.columns[gaining]
                replica = transferred(mine.replica, source.replica)
                here = with_column(here, gaining, mine._replace(replica=replica))
                yield (
                    f"pull from {place}",
                    with_column(here, place, source._replace(pulled=True)),
                )

    @cached_property
    def source_sets(self) -> tuple[Places, ...]:
        """What the product pulls from, as the displaced store answers or not."""
        placed = next((p for p in self.placements if p.phase is Phase.PREPARE), None)
        if placed is None:
            return ()
        old = frozenset(placed.current(SLOT))
        live = old - {self.stores[2]} if self.unreachable else old
        sources = self.rules.sources_of(placed, SLOT, self.stores[-1], live)
        assert sources is not None
        return (frozenset(self._places(sources)),)

    def _may_leave(self, state: State, after: int) -> bool:
        leaving, entering = self.chain[after - 1], self.chain[after]
        goes_on = entering.phase is Phase.SWITCH or entering.current != self.chain[0].current
        if leaving.phase is not Phase.PREPARE or not goes_on:
            return True
        pulled = {place for place, column in enumerate(state.columns) if column.pulled}
        return any(sources <= pulled for sources in self.source_sets)

    def _places(self, stores: Sequence[StoreNumber]) -> tuple[int, ...]:
        return tuple(sorted(self.stores.index(store) for store in stores))


def _smallest(places: Sequence[int], holds: Callable[[Places], bool]) -> tuple[Places, ...]:
    """Return the sets of places for which a rule holds, without those that contain another one."""
    found: list[Places] = []
    for size in range(len(places) + 1):
        for some in map(frozenset, combinations(places, size)):
            if not any(one <= some for one in found) and holds(some):
                found.append(some)
    return tuple(found)


STABLE = Cluster()
