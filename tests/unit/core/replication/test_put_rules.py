from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.records.hlc import MAX_WRITE_MS
from spine_core.records.versions import PRUNED_REV, STRONG, Version, hlc_from_ms, make_version
from spine_core.replication.put_rules import (
    EpochVerdict,
    PutKind,
    PutVerdict,
    judge_epoch,
    judge_put,
)
from spine_core.scalars import Hlc, Origin

T0 = hlc_from_ms(1_000_000)
MAX_WRITE = hlc_from_ms(MAX_WRITE_MS)

hlcs = st.integers(T0, T0 + 20)
weak = st.builds(make_version, hlcs, st.integers(1, 3), rev=st.sampled_from([0, PRUNED_REV]))
strong = st.builds(make_version, hlcs, st.integers(1, 3), kind=st.just(STRONG))
floors = st.one_of(st.just(0), hlcs)


def judge(
    version: Version,
    held: Version | None,
    *,
    has_register: bool = False,
    floor: int = 0,
    now_hlc: int = T0,
    kind: PutKind = PutKind.WRITE,
) -> PutVerdict:
    return judge_put(
        version=version,
        held=held,
        has_register=has_register,
        floor=Hlc(floor),
        now_hlc=Hlc(now_hlc),
        kind=kind,
    )


@given(weak, weak)
def test_the_newest_weak_version_wins(version: Version, held: Version) -> None:
    verdict = judge(version, held)
    if version > held:
        assert verdict is PutVerdict.APPLY
    elif version == held:
        assert verdict is PutVerdict.ALREADY
    else:
        assert verdict is PutVerdict.SUPERSEDED


@given(st.lists(weak, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_replicas_agree_whatever_the_order_of_the_puts(puts: list[Version], random: Random) -> None:
    def replica(order: list[Version]) -> Version | None:
        held: Version | None = None
        for version in order:
            if judge(version, held) is PutVerdict.APPLY:
                held = version
        return held

    shuffled = random.sample(puts, len(puts))
    assert replica(puts) == replica(shuffled + puts) == max(puts)


@given(weak, strong, floors)
def test_a_strong_record_refuses_every_weak_put(
    version: Version, held: Version, floor: int
) -> None:
    assert judge(version, held, floor=floor) is PutVerdict.STRONG


@given(weak, st.one_of(st.none(), weak), floors)
def test_a_promise_alone_refuses_every_weak_put(
    version: Version, held: Version | None, floor: int
) -> None:
    assert judge(version, held, has_register=True, floor=floor) is PutVerdict.STRONG


@given(weak, floors)
def test_a_record_at_or_below_the_purge_floor_cannot_come_back(
    version: Version, floor: int
) -> None:
    late = int.from_bytes(version[1:9], "big") <= floor
    for kind in PutKind:
        verdict = judge(version, None, floor=floor, kind=kind)
        assert verdict is (PutVerdict.LATE if late else PutVerdict.APPLY)


def test_a_put_is_first_applied_within_five_seconds_of_its_stamp_or_nowhere() -> None:
    version = make_version(T0, Origin(1))
    assert judge(version, None, now_hlc=T0 + MAX_WRITE) is PutVerdict.APPLY
    assert judge(version, None, now_hlc=T0 + MAX_WRITE + 1) is PutVerdict.LATE


@pytest.mark.parametrize("kind", [PutKind.WRITE_BACK, PutKind.REGION])
def test_a_copy_of_an_older_write_has_no_deadline(kind: PutKind) -> None:
    version = make_version(T0, Origin(1))
    late = judge(version, None, now_hlc=T0 + MAX_WRITE + 1, kind=kind)
    assert late is PutVerdict.APPLY


def test_a_prune_marker_replaces_exactly_the_version_it_names() -> None:
    version = make_version(T0, Origin(1))
    marker = make_version(T0, Origin(1), rev=PRUNED_REV)
    assert judge(marker, version) is PutVerdict.APPLY
    assert judge(marker, make_version(Hlc(T0 + 1), Origin(1))) is PutVerdict.SUPERSEDED


@pytest.mark.parametrize(
    ("request_epoch", "my_epoch", "verdict"),
    [
        (7, 7, EpochVerdict.OK),
        (6, 7, EpochVerdict.STALE_EPOCH),
        (8, 7, EpochVerdict.NEED_DOCUMENT),
    ],
)
def test_a_replica_serves_requests_of_exactly_its_own_epoch(
    request_epoch: int, my_epoch: int, verdict: EpochVerdict
) -> None:
    assert judge_epoch(request_epoch, my_epoch) is verdict
