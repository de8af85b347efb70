"""Gossip: what nodes know of each other: beats, epochs, load. Pure state; sends nothing.

Each store alone writes its own state and numbers it (boot, beat); a higher pair replaces a lower
one, so states spread in any order and any number of times. Gossip never decides ownership.

Liveness is time since the last news of a store, told apart by two fixed limits: news comes every
500 ms, and neither safety nor ownership depends on the verdict.

Source: Das et al., "SWIM", DSN 2002; digests as in van Renesse et al., "Efficient Reconciliation
and Flow Control for Anti-Entropy Protocols", LADIS 2008.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from types import MappingProxyType
from typing import NamedTuple

from spine_core.scalars import Hlc, StoreNumber

SUSPECT_AFTER_MS = 2_000  # four rounds of gossip without news
DOWN_AFTER_MS = 5_000
LIVE_PARTNERS = 2  # asked in each round
SILENT_PARTNERS = 1  # one of the others, so that two halves of a healed network meet


class Age(NamedTuple):
    """How new a state of a store is; a higher age replaces a lower one."""

    boot: int
    beat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """What a store says about itself."""

    store: StoreNumber
    boot: int  # starts of this store, durable; a lower one is a rolled-back disk
    beat: int  # grows with each new state of a boot
    epoch: int  # of the topology it has adopted
    status: str  # unjoined starting ok draining full skewed isolated retired
    in_flight: int = 0  # client requests
    # its row of the sync matrix: source → when its last complete pull from there began, as HLC
    row: Mapping[StoreNumber, Hlc] = field(default_factory=dict)


class Liveness(StrEnum):
    """Whether a store counts as up, judged by the time since its last news."""

    UP = "up"
    SUSPECT = "suspect"
    DOWN = "down"


class GossipView:
    """All states that one node knows.

    Args:
        own: the first state of this node.
        started_ms: on the clock of `now_ms` below, which has to be monotonic; a store that was
            never heard of is given the time-outs from here.
    """

    def __init__(self, own: NodeState, *, started_ms: int) -> None:
        self._own = own.store
        self._started_ms = started_ms
        self._boots: dict[StoreNumber, int] = {}  # store → highest heard of by this process
        self._states = {own.store: own}
        self._heard_ms: dict[StoreNumber, int] = {}  # store → when its state last grew

    @property
    def states(self) -> Mapping[StoreNumber, NodeState]:
        """Store → its newest state, this node included."""
        return MappingProxyType(self._states)

    @property
    def boots(self) -> Mapping[StoreNumber, int]:
        """Store → highest boot heard of."""
        return MappingProxyType(self._boots)

    def announce(self, own: NodeState) -> None:
        """Replace this node's own state by a newer one."""
        assert own.store == self._own
        assert _age(own) > _age(self._states[self._own])
        self._states[self._own] = own

    def ages(self) -> dict[StoreNumber, Age]:
        """Return store → age of all known states."""
        return {store: _age(state) for store, state in self._states.items()}

    def missing(self, known: Mapping[StoreNumber, Age]) -> tuple[NodeState, ...]:
        """Return the states that are news to a node that knows states of these ages."""
        return tuple(
            state
            for store, state in self._states.items()
            if store not in known or known[store] < _age(state)
        )

    def merge(self, states: Iterable[NodeState], now_ms: int) -> tuple[NodeState, ...]:
        """Merge the states that another node knows; return those that were news.

        A state of a lower boot than was ever heard of is refused, as is anything about this node.
        """
        return tuple(state for state in states if self._take(state, now_ms))

    def _take(self, state: NodeState, now_ms: int) -> bool:
        known = self._states.get(state.store)
        if state.store == self._own or self.is_rolled_back(state.store, state.boot):
            return False
        if known is not None and _age(state) <= _age(known):
            return False
        self._states[state.store] = state
        self._boots[state.store] = state.boot
        self._heard_ms[state.store] = now_ms
        return True

    def is_rolled_back(self, store: StoreNumber, boot: int) -> bool:
        """Return whether this boot count is below one heard before: the disk is an older copy."""
        return boot < self._boots.get(store, 0)

    def liveness(self, store: StoreNumber, now_ms: int) -> Liveness:
        """Return the verdict on a store; this node is always up to itself."""
        silent_ms = self.silent_ms(store, now_ms)
        if silent_ms < SUSPECT_AFTER_MS:
            return Liveness.UP
        return Liveness.SUSPECT if silent_ms < DOWN_AFTER_MS else Liveness.DOWN

    def silent_ms(self, store: StoreNumber, now_ms: int) -> int:
        """Return the time since the last news of a store."""
        if store == self._own:
            return 0
        return now_ms - self._heard_ms.get(store, self._started_ms)

    def partners(
        self, stores: Collection[StoreNumber], now_ms: int, random: Random
    ) -> tuple[StoreNumber, ...]:
        """Return which of `stores` to gossip with in this round: two live ones, one silent."""
        others = sorted(set(stores) - {self._own})
        live = [store for store in others if self.liveness(store, now_ms) is Liveness.UP]
        silent = [store for store in others if store not in live]
        return (
            *random.sample(live, min(LIVE_PARTNERS, len(live))),
            *random.sample(silent, min(SILENT_PARTNERS, len(silent))),
        )

    def retain(self, stores: Collection[StoreNumber]) -> None:
        """Forget the states of stores that the topology no longer names; boots stay known."""
        self._states = {
            store: state
            for store, state in self._states.items()
            if store == self._own or store in stores
        }


def _age(state: NodeState) -> Age:
    return Age(state.boot, state.beat)
