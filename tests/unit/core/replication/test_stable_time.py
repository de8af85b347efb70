from dataclasses import dataclass, field
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.records.hlc import MAX_DRIFT_MS, MAX_WRITE_MS
from spine_core.records.versions import hlc_from_ms, make_version
from spine_core.replication.put_rules import PutKind, PutVerdict, judge_put
from spine_core.replication.stable_time import stable_time
from spine_core.scalars import Hlc, Origin, StoreNumber

Pair = tuple[StoreNumber, StoreNumber]

STORES = (StoreNumber(1), StoreNumber(2), StoreNumber(3))
PAIRS = list(permutations(STORES, 2))
MARGIN_MS = MAX_WRITE_MS + MAX_DRIFT_MS


def pulled_at(ms: int) -> dict[Pair, Hlc]:
    return dict.fromkeys(PAIRS, hlc_from_ms(ms))


@pytest.mark.parametrize("pair", PAIRS)
def test_the_oldest_pull_of_all_ordered_pairs_decides(pair: Pair) -> None:
    rows = pulled_at(90_000) | {pair: hlc_from_ms(70_000)}
    assert stable_time(rows, STORES) == hlc_from_ms(70_000 - MARGIN_MS)


@pytest.mark.parametrize("pair", PAIRS)
def test_one_pair_that_never_pulled_holds_stable_time_at_zero(pair: Pair) -> None:
    rows = pulled_at(90_000)
    del rows[pair]
    assert stable_time(rows, STORES) == 0


def test_stores_outside_the_write_set_do_not_matter() -> None:
    rows = pulled_at(90_000) | {
        (StoreNumber(1), StoreNumber(9)): Hlc(1),
        (StoreNumber(9), StoreNumber(1)): Hlc(1),
    }
    assert stable_time(rows, STORES) == hlc_from_ms(90_000 - MARGIN_MS)


def test_a_young_cluster_has_no_negative_stable_time() -> None:
    assert stable_time(pulled_at(10), STORES) == 0


def test_a_single_replica_is_stable_up_to_its_own_clock() -> None:
    assert stable_time(
        {(StoreNumber(1), StoreNumber(1)): hlc_from_ms(90_000)}, [StoreNumber(1)]
    ) == hlc_from_ms(90_000 - MARGIN_MS)
    assert stable_time({}, [StoreNumber(1)]) == 0
    assert stable_time({}, []) == 0


@dataclass
class StableTimeModel:
    """Three replicas of one slot; every write has its own key, so that nothing is superseded."""

    offsets_ms: tuple[int, ...]  # of each store's clock
    now_ms: int = 100_000
    held: dict[StoreNumber, set[Hlc]] = field(
        default_factory=lambda: {store: set() for store in STORES}
    )
    on_their_way: list[tuple[int, StoreNumber, Hlc]] = field(
        default_factory=list
    )  # (due ms, store, hlc)
    rows: dict[Pair, Hlc] = field(default_factory=dict)

    def clock(self, store: StoreNumber) -> Hlc:
        return hlc_from_ms(self.now_ms + self.offsets_ms[store - 1])

    def write(self, store: StoreNumber, delays_ms: tuple[int, ...]) -> None:
        hlc = Hlc(self.clock(store) + len(self.on_their_way))
        for replica, delay_ms in zip(STORES, delays_ms, strict=True):
            self.on_their_way.append((self.now_ms + delay_ms, replica, hlc))

    def wait(self, ms: int) -> None:
        end_ms = self.now_ms + ms
        for due_ms, store, hlc in sorted(self.on_their_way):
            if self.now_ms <= due_ms < end_ms:
                self.now_ms = due_ms
                self.deliver(store, hlc)
        self.now_ms = end_ms

    def deliver(self, store: StoreNumber, hlc: Hlc) -> None:
        verdict = judge_put(
            version=make_version(hlc, Origin(1)),
            held=None,
            has_register=False,
            floor=Hlc(0),
            now_hlc=self.clock(store),
            kind=PutKind.WRITE,
        )
        if verdict is PutVerdict.APPLY:
            self.held[store].add(hlc)

    def pull(self, reader: StoreNumber, source: StoreNumber) -> None:
        self.rows[reader, source] = self.clock(reader)
        self.held[reader] |= self.held[source]

    def check(self) -> None:
        stable = stable_time(self.rows, STORES)
        anywhere = set.union(*self.held.values())
        for held in self.held.values():
            assert {hlc for hlc in anywhere if hlc <= stable} <= held


Round = tuple[list[tuple[StoreNumber, tuple[int, ...]]], list[Pair], int]

delays = st.tuples(*[st.integers(0, MAX_WRITE_MS + 2 * MAX_DRIFT_MS)] * 3)
rounds = st.lists(  # of writes (store, delay to each replica), pulls, and the time until the next
    st.tuples(
        st.lists(st.tuples(st.sampled_from(STORES), delays), max_size=3),
        st.permutations(PAIRS),
        st.integers(1, 4_000),
    ),
    min_size=3,
    max_size=8,
)
drifts = st.tuples(*[st.integers(-MAX_DRIFT_MS // 2, MAX_DRIFT_MS // 2 - 1)] * 3)


@given(drifts, rounds)
def test_what_is_stable_and_anywhere_is_everywhere(
    offsets_ms: tuple[int, ...], rounds: list[Round]
) -> None:
    model = StableTimeModel(offsets_ms)
    for writes, pulls, wait_ms in rounds:
        for store, delays_ms in writes:
            model.write(store, delays_ms)
        model.wait(wait_ms)
        model.check()
        for reader, source in pulls:
            model.pull(reader, source)
            model.check()
