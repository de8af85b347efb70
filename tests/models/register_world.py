"""The states of the model of one record that is written weakly and by rounds: register_model.py."""

from dataclasses import dataclass
from typing import NamedTuple

from models.search import with_item
from spine_core.records.versions import ABSENT, Version
from spine_core.replication.registers.changes import ChangeKind
from spine_core.replication.registers.state import Ballot, LeaseGuard, make_ballot
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import HLC_ZERO, Hlc, Origin, Slot

SLOT = Slot(0)
NOW = HLC_ZERO  # no message is late; that rule is about stable time
ORIGIN = Origin(1)

# What is between a round, a weak attempt or a quorum read, and one replica.
NOTHING, ASKED, TO_ACCEPT, HAS_ACCEPTED, ANSWERED = 0, 1, 2, 3, 4  # above: ANSWERED + what

STATUSES = tuple(ReplicaStatus)  # of an answer to a put

# Stages of an operation, and of a round.
IDLE, WEAK, READING, WRITING_BACK, ROUNDS, DONE = range(6)
UNUSED, PREPARING, ACCEPTING, OVER = range(4)

History = tuple[Version | int, ...]  # base, then operations
DELETION = 99  # the operation that deleted the record before the beginning
DELETED: History = (ABSENT, DELETION)


def ballot(hlc: int) -> Ballot:
    return make_ballot(Hlc(hlc), ORIGIN)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A change, which for a put is tried as a weak write first."""

    kind: ChangeKind = ChangeKind.WRITE
    flags: int = 0
    if_match: Ballot | None = None
    weak: tuple[int, ...] = ()  # timestamps of the weak write and of its re-stamps
    rounds: int = 1  # how often it is tried as a change
    same_coordinator: bool = False  # one coordinator makes all its rounds
    fence: LeaseGuard | None = None
    reads: bool = False  # a quorum read, which makes a round where replicas leave a doubt
    epochs: tuple[int, ...] = ()  # in which it may begin; all without


def put(*timestamps: int, rounds: int = 1) -> Operation:
    return Operation(weak=timestamps, rounds=rounds)


class Progress(NamedTuple):
    """How far an operation is."""

    stage: int
    attempt: int = 0  # of the weak write
    rounds: int = 0  # made so far
    first: int = -1  # ballot of the first one, by its place
    acked: Version = ABSENT  # weakly acknowledged before it began
    chosen: History = ()  # the longest history chosen before it began
    epoch: int = 0  # of the attempt, or of the quorum read
    found: Version = ABSENT  # by the quorum read, and to be written back


class Round(NamedTuple):
    """One round; its place among the ballots is its ballot."""

    stage: int = UNUSED
    operation: int = 0
    changed: int = 0  # what is proposed, by its number
    history: History = ()
    epoch: int = 0


class Column(NamedTuple):
    """One replica and all that is between it and the operations."""

    replica: int  # by its number
    rounds: tuple[int, ...]
    puts: tuple[int, ...]  # of each weak attempt
    reads: tuple[int, ...]  # of each operation
    epoch: int = 0
    pulled: bool = False  # in the change, by the store that gains the slot


class State(NamedTuple):
    """One state of the world. Columns of replicas that are alike are sorted.

    A store adopts an epoch when it first has to, and an operation begins with its first answer: to do
    so earlier changes nothing but the number of states.
    """

    columns: tuple[Column, ...]
    operations: tuple[Progress, ...]
    rounds: tuple[Round, ...]
    chosen: tuple[int, ...] = ()  # ballots, by their place
    acked: Version = ABSENT  # the newest weakly acknowledged version
    refused: frozenset[int] = frozenset()  # operations that were told they were not applied
    sent: tuple[int, ...] = ()  # epoch of each weak attempt
    published: int = 0


def round_cell(column: Column, place: int, cell: int) -> Column:
    return column._replace(rounds=with_item(column.rounds, place, cell))


def put_cell(column: Column, place: int, cell: int) -> Column:
    return column._replace(puts=with_item(column.puts, place, cell))


def read_cell(column: Column, place: int, cell: int) -> Column:
    return column._replace(reads=with_item(column.reads, place, cell))


def extends(longer: History, shorter: History) -> bool:
    return longer[: len(shorter)] == shorter


def longest_chosen(state: State) -> History:
    return state.rounds[state.chosen[-1]].history if state.chosen else ()


def base_of(history: History) -> Version:
    assert isinstance(history[0], bytes)
    return Version(history[0])


def with_operation(state: State, number: int, progress: Progress) -> State:
    return state._replace(operations=with_item(state.operations, number, progress))


def with_column(state: State, place: int, column: Column) -> State:
    return state._replace(columns=with_item(state.columns, place, column))


@dataclass(frozen=True)
class Outcome:
    """How many states there are, what operations were answered, and the steps to a broken invariant."""

    states: int
    verdicts: frozenset[tuple[int, str]]
    broken: str | None = None
    trace: tuple[str, ...] = ()
