"""One truth table for each guard; what is not known never passes."""

from typing import Any

import pytest

from models.clusters import (
    changed,
    document,
    draining,
    healthy,
    joining,
    member,
    newcomer,
    store_id,
    stores,
    without,
)
from spine_core.planning.guards import (
    Block,
    Guard,
    Pass,
    Unknown,
    Verdict,
    barrier_reached,
    document_whole,
    fully_replicated,
    members_visible,
    peers_agree,
    placement_possible,
    pulled,
    room_for,
    sources,
    tolerable,
)
from spine_core.planning.observed_stores import ObservedStores, Reports
from spine_core.planning.reports import PeerView
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Document
from spine_core.topology.placement import Placement

THREE = document("a0 b0 c0")
WELL = healthy(THREE)
JOIN = joining(THREE, "a1")
PREPARE = Placement(JOIN)
UP = PeerView(state="up", boot=1, silent_s=0.1)


def answers(verdict: Verdict, expected: type) -> None:
    assert type(verdict) is expected, verdict
    if isinstance(verdict, Block | Unknown):
        assert verdict.message


DOCUMENT_WHOLE = [
    (WELL, Pass),
    (dict.fromkeys(WELL), Pass),
    (changed(WELL, ["b0"], epoch=2), Block),
    (changed(WELL, ["b0"], digest="other"), Block),
    (changed(WELL, ["b0"], epoch=None, digest=None), Pass),
    (changed(WELL, ["b0"], epoch=7, cluster_id=store_id(66)), Pass),
    (
        {**WELL, "x0": member(THREE, 1, seat="x0", store_id=store_id(50), epoch=2)},
        Block,
    ),
]


@pytest.mark.parametrize(("reports", "expected"), DOCUMENT_WHOLE)
def test_document_whole(reports: Reports, expected: type) -> None:
    answers(document_whole(THREE, reports), expected)


def test_document_whole_follows_the_chain_of_digests() -> None:
    behind = {**healthy(JOIN), "b0": member(THREE, 2)}
    answers(document_whole(JOIN, behind), Pass)
    answers(document_whole(JOIN, changed(behind, ["b0"], digest="other")), Block)


BARRIER = [
    ([], Pass),
    (["a0"], Pass),  # the displaced one
    (["a1"], Pass),  # the joiner
    (["c0"], Pass),
    (["a0", "a1"], Pass),
    (["b0", "c0"], Block),
    (["a0", "b0"], Block),
]


@pytest.mark.parametrize(("late", "expected"), BARRIER)
def test_barrier(late: list[str], expected: type) -> None:
    reports = changed(healthy(JOIN), late, epoch=1, digest=THREE.digest())
    answers(barrier_reached(PREPARE, ObservedStores(JOIN, reports)), expected)
    silent = Unknown if expected is Block else Pass
    answers(barrier_reached(PREPARE, ObservedStores(JOIN, without(healthy(JOIN), *late))), silent)


def _pulled_but(missing: int) -> Reports:
    reports = healthy(JOIN, pulled=True)
    joiner = reports["a1"]
    assert joiner is not None
    assert joiner.change is not None
    fewer = frozenset(sorted(joiner.change.pulled)[missing:])
    part = type(joiner.change)(
        id="c-2", pulled=fewer, gained=0, bytes_done=0, bytes_total=0, idle_s=0
    )
    return changed(reports, ["a1"], change=part)


PULLED = [
    (healthy(JOIN, pulled=True), Pass),
    (healthy(JOIN), Block),
    (_pulled_but(1), Block),
    (_pulled_but(0), Pass),
    (without(healthy(JOIN, pulled=True), "a1"), Unknown),
    (without(healthy(JOIN, pulled=True), "b0"), Pass),
    (changed(healthy(JOIN, pulled=True), ["a1"], change=None), Block),
    (changed(healthy(JOIN, pulled=True), ["a1"], store_id=store_id(99)), Unknown),
]


@pytest.mark.parametrize(("reports", "expected"), PULLED)
def test_pulled(reports: Reports, expected: type) -> None:
    answers(pulled(PREPARE, ObservedStores(JOIN, reports)), expected)


def test_what_was_pulled_for_another_change_does_not_count() -> None:
    again = joining(JOIN.reverted(now_ms=0), "a1")
    old = healthy(JOIN, pulled=True)["a1"]
    assert old is not None
    reports = changed(healthy(again, pulled=True), ["a1"], change=old.change)
    answers(pulled(Placement(again), ObservedStores(again, reports)), Block)


SOURCES = [
    (WELL, Pass),
    (without(WELL, "a0"), Pass),
    (without(WELL, "b0"), Pass),
    (without(WELL, "b0", "c0"), Pass),  # the displaced one is there
    (without(WELL, "a0", "b0"), Unknown),
    (changed(WELL, ["a0", "b0"], status="starting"), Block),
    (changed(WELL, ["a0", "b0"], status="draining"), Pass),
    (without(changed(WELL, ["a0"], status="full"), "b0"), Pass),  # it still gives what it has
    (without(changed(WELL, ["a0"], status="isolated"), "b0"), Unknown),
]


@pytest.mark.parametrize(("reports", "expected"), SOURCES)
def test_sources(reports: Reports, expected: type) -> None:
    answers(sources(PREPARE, ObservedStores(THREE, reports)), expected)


MEMBERS_VISIBLE = [
    (WELL, stores(), Pass),
    (without(WELL, "b0"), stores(), Unknown),
    (without(WELL, "b0"), stores(2), Pass),
    (changed(WELL, ["b0"], cluster_id=store_id(66)), stores(), Unknown),
    (changed(WELL, ["b0"], store_id=store_id(66)), stores(), Unknown),
    (changed(WELL, ["b0"], epoch=None), stores(), Pass),
]


@pytest.mark.parametrize(("reports", "targets", "expected"), MEMBERS_VISIBLE)
def test_members_visible(reports: Reports, targets: frozenset[StoreNumber], expected: type) -> None:
    answers(members_visible(ObservedStores(THREE, reports), targets=targets), expected)


def _seeing(state: Any) -> Reports:
    view = {} if state is None else {3: PeerView(state=state, boot=1, silent_s=9.0)}
    return changed(WELL, ["b0"], peers={1: UP} | view)


PEERS_AGREE = [
    (WELL, stores(), Pass),
    (_seeing("up"), stores(), Pass),
    (_seeing("suspect"), stores(), Block),
    (_seeing("down"), stores(), Block),
    (_seeing(None), stores(), Unknown),
    (_seeing("down"), stores(3), Pass),
    (_seeing("down"), stores(2), Pass),
    (without(_seeing("down"), "c0"), stores(), Pass),  # not live: MembersVisible tells
]


@pytest.mark.parametrize(("reports", "targets", "expected"), PEERS_AGREE)
def test_peers_agree(reports: Reports, targets: frozenset[StoreNumber], expected: type) -> None:
    answers(peers_agree(ObservedStores(THREE, reports), targets=targets), expected)


FULLY_REPLICATED = [
    (WELL, stores(), Pass),
    (without(WELL, "b0"), stores(), Unknown),
    (without(WELL, "b0"), stores(2), Pass),
    (changed(WELL, ["b0"], pulls={1: 61.0, 3: 5.0}), stores(), Block),
    (changed(WELL, ["b0"], pulls={1: 61.0, 3: 5.0}), stores(1), Pass),
    (changed(WELL, ["b0"], up_s=4.0), stores(), Block),
    (changed(WELL, ["b0"], status="starting"), stores(), Block),
]


@pytest.mark.parametrize(("reports", "excepted", "expected"), FULLY_REPLICATED)
def test_fully_replicated(
    reports: Reports, excepted: frozenset[StoreNumber], expected: type
) -> None:
    verdict = fully_replicated(Placement(THREE), ObservedStores(THREE, reports), excepted=excepted)
    answers(verdict, expected)


def test_fully_replicated_looks_at_the_old_and_at_the_new_replicas() -> None:
    fresh = ObservedStores(JOIN, changed(healthy(JOIN), ["a1"], pulls={}))
    answers(fully_replicated(PREPARE, fresh), Block)
    answers(fully_replicated(PREPARE, fresh, excepted=stores(4)), Pass)


PLACEMENT_POSSIBLE = [
    ("a0 b0 c0", 3, "strict", Pass),
    ("a0 b0", 3, "strict", Block),
    ("a0 a1 a2", 3, "strict", Pass),
    ("a0 a1 b0", 3, "strict", Pass),
    ("a0 a1 a2 a3 b0", 5, "strict", Block),  # at most three of five in a zone
    ("a0 a1 a2 a3 b0", 5, "balanced", Pass),
    ("a0 a1 a2 a3 b0", 5, "none", Pass),
    ("", 1, "none", Block),
]


@pytest.mark.parametrize(("seats", "factor", "policy", "expected"), PLACEMENT_POSSIBLE)
def test_placement_possible(seats: str, factor: int, policy: Any, expected: type) -> None:
    zones = {seat: seat[0] for seat in seats.split()}
    answers(placement_possible(zones, factor=factor, zone_policy=policy), expected)


SIX = document("a0 b0 c0 a1 b1 c1")
TOLERABLE = [
    (JOIN, Pass),
    (joining(THREE, "a1 a2"), Pass),  # one zone holds one replica
    (joining(THREE, "a1 b1"), Block),
    (draining(SIX, "a1"), Pass),
    (draining(SIX, "a1 b1"), Block),
    (joining(document("a0", factor=1, write_quorum=1), "a1"), Block),
    (joining(document("a0 b0", factor=2, write_quorum=2), "a1"), Block),
]


@pytest.mark.parametrize(("candidate", "expected"), TOLERABLE)
def test_tolerable(candidate: Document, expected: type) -> None:
    answers(tolerable(Placement(candidate)), expected)


GAINED = len(PREPARE.gained()[StoreNumber(4)])
FRESH = {**changed(WELL, WELL, disk_used=6400), "a1": newcomer("a1", 4)}  # 100 bytes a slot
BIG = changed(FRESH, ["c0"], slot_bytes=dict.fromkeys(range(64), 1000))
ROOM_FOR = [
    (FRESH, GAINED * 125, Pass),
    (FRESH, GAINED * 125 - 2, Block),
    (BIG, GAINED * 1250, Pass),
    (BIG, GAINED * 1250 - 2, Block),
    (changed(FRESH, ["a1"], disk_used=1), GAINED * 125, Block),
    (without(FRESH, "b0", "c0"), GAINED * 125, Pass),
    (without(FRESH, "a0", "b0", "c0"), 10**9, Unknown),
    (without(FRESH, "a1"), 0, Unknown),
]


@pytest.mark.parametrize(("reports", "quota", "expected"), ROOM_FOR)
def test_room_for(reports: Reports, quota: int, expected: type) -> None:
    if reports["a1"] is not None:
        reports = changed(reports, ["a1"], disk_quota=quota)
    answers(room_for(PREPARE, reports, min_free_percent=20), expected)


def test_what_needs_a_person_and_what_passes_by_itself() -> None:
    assert {guard for guard in Guard if not guard.needs_human} == {
        *(Guard.BARRIER, Guard.FULLY_REPLICATED, Guard.MEMBERS_VISIBLE, Guard.PEERS_AGREE),
        *(Guard.NOT_PAUSED, Guard.NOT_SUSPENDED),
    }
