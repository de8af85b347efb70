"""No acknowledged write is lost in a topology change: every interleaving, the product's own rules.

The second half takes one rule away at a time: a model that does not notice would prove nothing.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import pytest

from models.epoch_model import SLOT, Model, Rules, before_a_join, drain, join, replacement
from spine_core.replication.put_rules import EpochVerdict
from spine_core.replication.quorums import barrier_size, slots_without_barrier
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import Document
from spine_core.topology.placement import Placement

Acks = AbstractSet[StoreNumber]

START = before_a_join()
SETTLED = join().switched().committed(now_ms=0)


def committed(before: Document, prepare: Document) -> tuple[Document, ...]:
    switch = prepare.switched()
    return (before, prepare, switch, switch.committed(now_ms=0))


def reverted(before: Document, prepare: Document) -> tuple[Document, ...]:
    return (before, prepare, prepare.reverted(now_ms=0))


def reverted_from_switch(before: Document, prepare: Document) -> tuple[Document, ...]:
    switch = prepare.switched()
    back = switch.unswitched()
    return (before, prepare, switch, back, back.reverted(now_ms=0))


CHAINS = [
    pytest.param(committed(START, join()), id="join"),
    pytest.param(committed(SETTLED, drain()), id="drain"),
    pytest.param(reverted(START, join()), id="join taken back"),
    pytest.param(reverted(SETTLED, drain()), id="drain taken back"),
    pytest.param(reverted_from_switch(START, join()), id="join taken back from switch"),
]


@pytest.mark.parametrize("chain", CHAINS)
def test_no_acknowledged_write_is_missed_in_a_change(chain: Sequence[Document]) -> None:
    outcome = Model(chain).explore()
    assert outcome.trace is None
    assert outcome.states > 5_000
    assert outcome.found_at == set(range(len(chain)))


def test_no_acknowledged_write_is_missed_when_a_disk_is_lost() -> None:
    chain = committed(START, replacement())
    outcome = Model(chain, lost=frozenset({START.current["a0"]})).explore()
    assert outcome.trace is None
    assert outcome.found_at == {0, 1, 2, 3}


def test_a_change_needs_no_displaced_store() -> None:
    outcome = Model(committed(START, join()), lost=frozenset({START.current["a0"]})).explore()
    assert outcome.trace is None
    assert outcome.found_at == {0, 1, 2, 3}


# Rules taken away


def old_only(placed: Placement, slot: Slot, acks: Acks) -> bool:
    return len(acks & set(placed.current(slot))) >= placed.write_quorum


def new_only(placed: Placement, slot: Slot, acks: Acks) -> bool:
    return len(acks & set(placed.target(slot))) >= placed.write_quorum


def any_two(placed: Placement, slot: Slot, acks: Acks) -> bool:
    return len(acks) >= placed.write_quorum


def any_one_source(
    placed: Placement, slot: Slot, _store: StoreNumber, live: Acks
) -> tuple[StoreNumber, ...] | None:
    return tuple(one for one in placed.current(slot) if one in live)[:1] or None


def never_refuse(_request: int, _mine: int) -> EpochVerdict:
    return EpochVerdict.OK


def no_barrier(_placed: Placement, _acked: Acks) -> int:
    return 0


JOIN = committed(START, join())


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(Rules(write_done=old_only), id="writes acknowledged by the old stores"),
        pytest.param(Rules(write_done=new_only), id="writes acknowledged by the new stores"),
        pytest.param(Rules(write_done=any_two), id="writes acknowledged by any two"),
        pytest.param(Rules(sources_of=any_one_source), id="pulled from any one store"),
        pytest.param(
            Rules(judge_epoch=never_refuse, judge_pull=never_refuse), id="no epoch is refused"
        ),
        pytest.param(Rules(judge_epoch=never_refuse), id="only pulls compare epochs"),
        pytest.param(Rules(judge_pull=never_refuse), id="the source may be behind"),
        pytest.param(Rules(slots_without_barrier=no_barrier), id="no barriers"),
        pytest.param(Rules(atomic=False), id="the epoch is checked before the write waits"),
    ],
)
def test_the_model_notices_a_missing_rule(rules: Rules) -> None:
    assert Model(JOIN, rules).explore().trace is not None


@pytest.mark.parametrize(
    "phases",
    [
        pytest.param((0, 3), id="the ring is flipped at once"),
        pytest.param((0, 1, 3), id="no switch"),
        pytest.param((0, 2, 3), id="no prepare"),
    ],
)
def test_the_model_notices_a_missing_phase(phases: Sequence[int]) -> None:
    assert Model([JOIN[phase] for phase in phases]).explore().trace is not None


# The way back asks for the barrier of the new stores too. Would that of the old ones do?


def old_barrier_in(epoch: int) -> Rules:
    def lacking(placed: Placement, acked: Acks) -> int:
        old = len(acked & set(placed.current(SLOT))) < barrier_size(placed)
        return old if placed.epoch == epoch else slots_without_barrier(placed, acked)

    return Rules(slots_without_barrier=lacking)


def test_before_a_switch_the_barrier_of_the_old_stores_would_do_for_the_way_back() -> None:
    chain = reverted(START, join())
    assert Model(chain, old_barrier_in(chain[1].epoch)).explore().trace is None


def test_after_a_switch_the_way_back_needs_the_barrier_of_the_new_stores_too() -> None:
    chain = reverted_from_switch(START, join())
    assert Model(chain, old_barrier_in(chain[3].epoch)).explore().trace is not None
