from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.clusters import stores
from spine_core.replication.gossip import (
    DOWN_AFTER_MS,
    SUSPECT_AFTER_MS,
    Age,
    GossipView,
    Liveness,
    NodeState,
)
from spine_core.scalars import Hlc, StoreNumber


def state(store: int, *, boot: int = 1, beat: int = 0) -> NodeState:
    # Of one (boot, beat) there is one state: its author numbers them.
    number = StoreNumber(store)
    row = {number: Hlc(beat)}
    return NodeState(store=number, boot=boot, beat=beat, epoch=boot, status="ok", row=row)


def view(store: int = 1) -> GossipView:
    return GossipView(state(store), started_ms=0)


peer_states = st.lists(
    st.builds(state, st.integers(2, 5), boot=st.integers(1, 3), beat=st.integers(0, 9)), max_size=12
)


@given(peer_states, st.randoms(use_true_random=False))
def test_states_spread_in_any_order_and_any_number_of_times(
    states: list[NodeState], random: Random
) -> None:
    one, other = view(), view()
    one.merge(states, 0)
    other.merge(random.sample(states, len(states)) + states, 0)
    assert one.states == other.states
    for store, known in one.states.items():
        newest = max(((s.boot, s.beat) for s in states if s.store == store), default=(1, 0))
        assert (known.boot, known.beat) == newest


@given(peer_states, peer_states)
def test_one_exchange_makes_two_views_equal(here: list[NodeState], there: list[NodeState]) -> None:
    one, two = view(8), view(9)
    one.merge(here, 0)
    two.merge(there, 0)
    asked = two.ages()
    one.merge(two.missing(one.ages()), 0)
    two.merge(one.missing(asked), 0)
    assert one.states == two.states
    assert one.missing(two.ages()) == ()


def test_only_news_is_reported() -> None:
    here = view()
    first, second = state(2, beat=1), state(2, beat=2)
    assert here.merge([first, second, first], 0) == (first, second)
    assert here.merge([second], 0) == ()


def test_nobody_else_speaks_for_this_node() -> None:
    here = view(1)
    assert here.merge([state(1, boot=7, beat=3)], 0) == ()
    assert here.states[StoreNumber(1)] == state(1)


def test_a_new_own_state_is_news_to_others() -> None:
    here = view(1)
    here.announce(state(1, beat=1))
    assert here.missing({StoreNumber(1): Age(1, 0)}) == (state(1, beat=1),)
    with pytest.raises(AssertionError):
        here.announce(state(1, beat=1))


def test_a_rolled_back_disk_is_refused_and_recognised() -> None:
    here = view()
    here.merge([state(2, boot=5)], 0)
    assert here.merge([state(2, boot=4, beat=99)], 0) == ()
    assert here.states[StoreNumber(2)] == state(2, boot=5)
    assert here.is_rolled_back(StoreNumber(2), 4)
    assert not here.is_rolled_back(StoreNumber(2), 5)
    assert not here.is_rolled_back(StoreNumber(3), 1)


def test_silence_makes_a_store_suspect_then_down_and_news_makes_it_up() -> None:
    here = view()
    here.merge([state(2)], 10_000)
    assert here.liveness(StoreNumber(2), 10_000 + SUSPECT_AFTER_MS - 1) is Liveness.UP
    assert here.liveness(StoreNumber(2), 10_000 + SUSPECT_AFTER_MS) is Liveness.SUSPECT
    assert here.liveness(StoreNumber(2), 10_000 + DOWN_AFTER_MS - 1) is Liveness.SUSPECT
    assert here.liveness(StoreNumber(2), 10_000 + DOWN_AFTER_MS) is Liveness.DOWN
    here.merge([state(2, beat=1)], 20_000)
    assert here.liveness(StoreNumber(2), 20_000) is Liveness.UP


def test_old_news_is_no_sign_of_life() -> None:
    here = view()
    here.merge([state(2)], 0)
    here.merge([state(2)], DOWN_AFTER_MS)
    assert here.liveness(StoreNumber(2), DOWN_AFTER_MS) is Liveness.DOWN
    assert here.silent_ms(StoreNumber(2), DOWN_AFTER_MS) == DOWN_AFTER_MS


def test_a_store_never_heard_of_is_given_time_from_our_start() -> None:
    here = GossipView(state(1), started_ms=50_000)
    assert here.liveness(StoreNumber(2), 50_000) is Liveness.UP
    assert here.liveness(StoreNumber(2), 50_000 + DOWN_AFTER_MS) is Liveness.DOWN


def test_a_node_never_doubts_itself() -> None:
    assert view(1).liveness(StoreNumber(1), 10**9) is Liveness.UP


def test_each_round_asks_two_live_stores_and_one_silent_one() -> None:
    here = view(1)
    here.merge([state(store) for store in (2, 3, 4)], 100_000)
    asked: Counter[int] = Counter()
    for seed in range(50):
        partners = here.partners(stores(*range(1, 8)), 100_000, Random(seed))
        assert len(set(partners)) == 3
        assert len({2, 3, 4} & set(partners)) == 2
        asked.update(partners)
    assert set(asked) == {2, 3, 4, 5, 6, 7}
    assert here.partners([StoreNumber(1)], 100_000, Random(0)) == ()


def test_stores_that_left_are_forgotten_but_not_their_boots() -> None:
    here = view(1)
    here.merge([state(2, boot=5), state(3)], 0)
    here.retain({StoreNumber(3)})
    assert set(here.states) == {1, 3}
    assert here.is_rolled_back(StoreNumber(2), 4)
