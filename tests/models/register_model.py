"""Explicit-state model of one record that is written weakly and by rounds at the same time.

What replicas, proposers, readers and the coordinators of weak puts decide is the product's own. All
else is the adversary's: which ballots rounds get, when messages arrive (or never, or after their round
was given up), which answers are lost, when a chosen value is learned, when a coordinator stops, when
stores adopt the next document. A replica that crashes keeps what it stored, and one that stays away is
one that is never scheduled again.

The model writes its own history of every value: the weak version it grew from, then the operations
that changed it. Whatever a value says about itself is not believed.
"""

from collections.abc import Iterator

from models.register_invariants import BrokenError, check_fresh_round, require
from models.register_puts import put_steps
from models.register_reads import read_steps
from models.register_rounds import round_steps
from models.register_run import Run
from models.register_settled import settle
from models.register_world import (
    DELETION,
    IDLE,
    NOTHING,
    Column,
    Outcome,
    Progress,
    Round,
    State,
    ballot,
    with_column,
)
from models.search import trace_of
from spine_core.scalars import Hlc


class Model(Run):
    """One record on its replicas, and what is done to it."""

    def start(self) -> State:
        replica = self.at.empty()
        if self.purged_at is not None:
            replica = self.at.deleted(ballot(self.purged_at), DELETION)
        no_rounds, no_puts = (NOTHING,) * len(self.ballots), (NOTHING,) * len(self.attempts)
        no_reads = (NOTHING,) * len(self.operations)
        column = Column(replica, no_rounds, no_puts, no_reads)
        idle = (Progress(IDLE),) * len(self.operations)
        columns = (column,) * len(self.cluster.stores)
        sent = (-1,) * len(self.attempts)
        return State(columns, idle, (Round(),) * len(self.ballots), sent=sent)

    def explore(self, *, limit: int = 400_000) -> Outcome:
        """Visit every state, depth first; stop at the first one that breaks an invariant."""
        start = self.start()
        parents: dict[State, tuple[State, str] | None] = {start: None}
        stack = [start]
        while stack:
            state = stack.pop()
            label = ""
            try:
                for label, after in self._steps(state):
                    settled = settle(self, after)
                    if settled in parents:
                        continue
                    parents[settled] = (state, label)
                    self._check_fresh_rounds(settled)
                    stack.append(settled)
            except BrokenError as error:
                steps = (*trace_of(state, parents), label)
                return Outcome(len(parents), frozenset(self.verdicts), str(error), steps)
            assert len(parents) < limit, "the model has grown out of hand"
        return Outcome(len(parents), frozenset(self.verdicts))

    def _steps(self, state: State) -> Iterator[tuple[str, State]]:
        yield from self.cluster.publish(state)
        yield from self.cluster.pull(state, self.at.transfer)
        yield from put_steps(self, state)
        yield from round_steps(self, state)
        yield from read_steps(self, state)
        for place in self.places(state):
            if self.learning:
                yield from self._learn(state, place)
            if self.anti_entropy:
                yield from self._pull(state, place)
            if self.purged_at is not None:
                yield from self._purge(state, place)

    def _learn(self, state: State, place: int) -> Iterator[tuple[str, State]]:
        """Bring a chosen value; a message with the ballot alone does no more than one with the value."""
        for one in state.chosen:
            there = self._as_member(state, place)
            if there is None:
                continue
            column, changed = there.columns[place], state.rounds[one].changed
            register = self.at.replicas.things[column.replica].register
            if register is not None and register.accepted == self.timestamps[one]:
                chosen = self.at.proposals.things[changed].value
                require(register.value == chosen, "two values under one ballot")
            replica = self.at.learn(column.replica, self.timestamps[one], changed)
            if replica != column.replica:
                after = with_column(there, place, column._replace(replica=replica))
                yield f"{place}: learns {self.ballots[one]}", after

    def _as_member(self, state: State, place: int) -> State | None:
        """Return the state in which the store has adopted the first epoch that gives it the slot."""
        for epoch in range(state.columns[place].epoch, state.published + 1):
            if place in self.cluster.members[epoch]:
                return self.cluster.at_epoch(state, place, epoch)
        return None

    def _pull(self, state: State, place: int) -> Iterator[tuple[str, State]]:
        """Pull the weak record of another replica, as anti-entropy does."""
        column = state.columns[place]
        for source in {other.replica for other in state.columns}:
            replica = self.at.pull(column.replica, source)
            if replica != column.replica:
                after = with_column(state, place, column._replace(replica=replica))
                yield f"{place}: pulls a weak record", after

    def _purge(self, state: State, place: int) -> Iterator[tuple[str, State]]:
        """Raise the floor of a replica to the deletion of the beginning."""
        column = state.columns[place]
        assert self.purged_at is not None
        if not self.at.replicas.things[column.replica].floor:
            replica = self.at.purged(column.replica, Hlc(self.purged_at))
            yield f"{place}: purges", with_column(state, place, column._replace(replica=replica))

    def _check_fresh_rounds(self, state: State) -> None:
        for epoch in range(state.published + 1):
            for quorum in self.cluster.quorums[epoch]:
                if all(self.cluster.may_serve(state, place, epoch) for place in quorum):
                    numbers = tuple(sorted(state.columns[place].replica for place in quorum))
                    check_fresh_round(state, self.history(state, self.at.fresh(numbers)))
