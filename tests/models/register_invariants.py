"""What has to hold in every state of a record that is written weakly and by rounds (protocol.md §7.3)."""

from collections.abc import Mapping
from itertools import pairwise

from models.register_world import History, Progress, State, base_of, extends, longest_chosen
from spine_core.records.versions import Version


class BrokenError(Exception):
    """An invariant does not hold."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise BrokenError(what)


def check_chosen(state: State, history: History, bases: Mapping[Version, int]) -> None:
    """Check the value that was chosen last; `bases` are the weak versions and who writes them."""
    for lower, higher in pairwise(state.rounds[one].history for one in state.chosen):
        require(extends(higher, lower), f"I2: {higher} does not extend {lower}")
    base = base_of(history)
    require(base >= state.acked, f"I1: {state.acked!r} is lost in {history}")
    require(len(set(history[1:])) == len(history[1:]), f"I3: twice in {history}")
    require(bases.get(base) not in history[1:], f"I3: base and change of {history}")
    check_refused(state)


def check_refused(state: State) -> None:
    """What a client was told did not happen has not happened."""
    for one in state.chosen:
        effective = set(state.rounds[one].history[1:])
        require(state.refused.isdisjoint(effective), "a refused operation took effect")


def check_fresh_round(state: State, history: History) -> None:
    """I5: a new round goes on from a value with this history, whichever quorum it has met."""
    longest = longest_chosen(state)
    require(extends(history, longest), f"I5: {history} does not extend {longest}")
    require(base_of(history) >= state.acked, f"I5: {state.acked!r} is lost in {history}")


def check_read_weak(state: State, progress: Progress, version: Version) -> None:
    """A weak version is shown: nothing newer was there before, and no round has missed it."""
    require(not progress.chosen, "I4: a read shows a weak record after a round was chosen")
    require(version >= progress.acked, "I4: a read misses what was acknowledged before")
    for one in state.chosen:
        base = base_of(state.rounds[one].history)
        require(base >= version, "I1: a read shows what is above the base of a chosen value")
