"""One step of a topology change at a time, and never one too early."""

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
    wanted,
    without,
)
from spine_core.planning.actions import Done, Push, RemoveSeats, Step, Wait
from spine_core.planning.guards import Unknown
from spine_core.planning.observed_stores import Reports
from spine_core.planning.reports import PeerView
from spine_core.planning.wanted import Wanted
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Phase
from unit.core.acting import act, blocked, publish

THREE = document("a0 b0 c0")
FOUR = document("a0 b0 c0 a1")
JOIN = joining(THREE, "a1", now_ms=7)
DRAIN = draining(FOUR, "a1")


# Documents


def test_a_node_with_a_later_epoch_stops_everything() -> None:
    action = blocked(act(THREE, changed(healthy(THREE), ["b0"], epoch=2), wanted("a0")))
    assert action.guard == "DocumentWhole"


def test_a_node_with_another_document_of_this_epoch_stops_everything() -> None:
    action = blocked(act(THREE, changed(healthy(THREE), ["b0"], digest="other"), wanted()))
    assert action.guard == "DocumentWhole"


def test_a_node_with_another_predecessor_stops_everything() -> None:
    reports = changed(healthy(JOIN), ["b0"], epoch=1, digest="other")
    assert blocked(act(JOIN, reports, wanted("a0 b0 c0 a1"))).guard == "DocumentWhole"


# Barrier


def test_the_document_goes_to_the_nodes_that_have_not_adopted_it() -> None:
    reports = {**healthy(THREE), "a1": newcomer("a1", 4)}
    action = act(JOIN, reports, wanted("a0 b0 c0 a1"))
    assert isinstance(action, Push)
    assert action.document == JOIN
    assert action.stores == {"a0": store_id(1), "b0": store_id(2), "c0": store_id(3)} | {
        "a1": store_id(4)
    }


def test_without_the_barrier_nothing_goes_on_however_long_it_takes() -> None:
    behind = {seat: member(THREE, n) for seat, n in (("a0", 1), ("b0", 2))}
    reports = {**healthy(JOIN, pulled=True), **behind}
    assert isinstance(act(JOIN, reports, wanted("a0 b0 c0 a1"), waited_s=1e9), Push)
    silent = without(reports, "a0", "b0")
    action = blocked(act(JOIN, silent, wanted("a0 b0 c0 a1"), waited_s=1e9))
    assert action.guard == "Barrier"
    assert isinstance(action.verdict, Unknown)


def test_a_slow_node_gets_thirty_seconds_then_the_quorum_is_enough() -> None:
    reports = {**healthy(JOIN, pulled=True), "c0": member(THREE, 3)}
    want = wanted("a0 b0 c0 a1")
    assert isinstance(act(JOIN, reports, want, waited_s=29.9), Push)
    assert publish(act(JOIN, reports, want, waited_s=30.0)).step is Step.SWITCH


def test_a_node_that_comes_back_late_still_gets_the_document() -> None:
    settled = JOIN.switched().committed(now_ms=9)
    late = member(THREE, 3)
    action = act(settled, {**healthy(settled), "c0": late}, wanted("a0 b0 c0 a1"), waited_s=1e6)
    assert isinstance(action, Push)
    assert action.step is Step.SETTLE
    assert action.stores == {"c0": store_id(3)}


def test_a_late_node_gets_the_document_before_a_guard_blocks_because_of_it() -> None:
    settled = JOIN.switched().committed(now_ms=9)
    reports = {**healthy(settled), "c0": member(THREE, 3)}
    assert isinstance(act(settled, reports, wanted("a0 b0 c0")), Push)


# Join


def test_a_join_begins_with_prepare_and_fresh_numbers() -> None:
    reports = {**healthy(THREE), "a1": newcomer("a1", 77)}
    action = publish(act(THREE, reports, wanted("a0 b0 c0 a1"), now_ms=5))
    assert action.step is Step.PREPARE
    doc = action.document
    assert (doc.epoch, doc.phase, doc.previous) == (2, Phase.PREPARE, THREE.digest())
    assert doc.target == {"a0": 1, "b0": 2, "c0": 3, "a1": 4}
    assert doc.stores[StoreNumber(4)].id == store_id(77)
    assert doc.next_number == 5
    assert doc.history[-1].started_ms == 5


def test_a_pulled_join_switches_then_commits() -> None:
    want = wanted("a0 b0 c0 a1")
    switch = publish(act(JOIN, healthy(JOIN, pulled=True), want))
    assert (switch.step, switch.document.phase) == (Step.SWITCH, Phase.SWITCH)
    commit = publish(act(switch.document, healthy(switch.document), want, now_ms=11))
    assert (commit.step, commit.document.phase) == (Step.COMMIT, Phase.STABLE)
    assert commit.document.current == JOIN.target
    assert commit.document.history[-1].result == "committed"
    assert commit.document.history[-1].ended_ms == 11
    assert act(commit.document, healthy(commit.document), want) == Done()


def test_a_join_waits_for_every_slot() -> None:
    action = act(JOIN, healthy(JOIN), wanted("a0 b0 c0 a1"))
    assert isinstance(action, Wait)
    assert action.step is Step.PULL
    assert (action.done, action.total > 0) == (0, True)


def test_a_joiner_that_does_not_answer_has_not_pulled() -> None:
    action = act(JOIN, without(healthy(JOIN, pulled=True), "a1"), wanted("a0 b0 c0 a1"))
    assert isinstance(action, Wait)


@pytest.mark.parametrize(
    ("phase", "after"), [(Phase.PREPARE, Phase.STABLE), (Phase.SWITCH, Phase.PREPARE)]
)
def test_a_join_that_nobody_wants_any_more_goes_back(phase: Phase, after: Phase) -> None:
    doc = JOIN if phase is Phase.PREPARE else JOIN.switched()
    action = publish(act(doc, healthy(doc, pulled=True), wanted("a0 b0 c0")))
    assert action.step is Step.REVERT
    assert action.document.phase is after
    assert action.document.current == THREE.current


def test_a_reverted_store_is_retired_and_its_number_is_spent() -> None:
    back = publish(act(JOIN, healthy(JOIN), wanted("a0 b0 c0"))).document
    assert back.retired == {4: store_id(4)}
    assert back.next_number == 5
    assert 4 not in back.stores
    used = {**healthy(back), "a1": member(JOIN, 4, status="retired")}
    action = blocked(act(back, {**used, "a1": newcomer("a1", 4)}, wanted("a0 b0 c0 a1")))
    assert action.guard == "VolumeFree"


@pytest.mark.parametrize("up_s", [119.0, 120.0])
def test_nodes_that_are_up_join_without_a_late_one_after_two_minutes(up_s: float) -> None:
    reports = {**healthy(THREE), "a1": newcomer("a1", 4, up_s=up_s), "a2": None}
    action = act(THREE, reports, wanted("a0 b0 c0 a1 a2"))
    if up_s < 120:
        assert isinstance(action, Wait)
        assert (action.step, action.done, action.total) == (Step.STORES, 1, 2)
    else:
        assert set(publish(action).document.target) == {"a0", "b0", "c0", "a1"}


def test_whole_groups_of_one_zone_join_at_once() -> None:
    seats = "a1 b1 c1 a2 b2 c2"
    fresh = {seat: newcomer(seat, 10 + n) for n, seat in enumerate(seats.split())}
    action = publish(act(THREE, {**healthy(THREE), **fresh}, wanted(f"a0 b0 c0 {seats}")))
    assert set(action.document.target) - set(THREE.current) == {"a1", "a2"}


def test_a_change_is_no_larger_than_allowed() -> None:
    fresh = {seat: newcomer(seat, 10 + n) for n, seat in enumerate(("a1", "a2", "a3"))}
    want = wanted("a0 b0 c0 a1 a2 a3", max_nodes_per_change=2)
    action = publish(act(THREE, {**healthy(THREE), **fresh}, want))
    assert set(action.document.target) - set(THREE.current) == {"a1", "a2"}


def test_a_single_node_joins_although_its_loss_would_stop_writes_and_says_so() -> None:
    alone = document("a0", factor=1, write_quorum=1)
    want = wanted("a0 a1 a2", factor=1, write_quorum=1)
    fresh = {"a1": newcomer("a1", 4), "a2": newcomer("a2", 5)}
    action = publish(act(alone, {**healthy(alone), **fresh}, want))
    assert set(action.document.target) == {"a0", "a1"}
    assert "need the joining stores" in action.why


@pytest.mark.parametrize(
    ("guard", "reports"),
    [
        ("MembersVisible", without(healthy(THREE), "b0")),
        (
            "PeersAgree",
            changed(
                healthy(THREE),
                ["b0"],
                peers={
                    1: PeerView(state="up", boot=1, silent_s=0.1),
                    3: PeerView(state="suspect", boot=1, silent_s=3.0),
                },
            ),
        ),
        ("Sources", changed(healthy(THREE), ["a0", "b0"], status="isolated")),
        ("RoomFor", changed(healthy(THREE), ["a0"], disk_used=10**10)),
    ],
)
def test_a_join_is_not_begun_against_a_guard(guard: str, reports: Reports) -> None:
    action = act(THREE, {**reports, "a1": newcomer("a1", 4)}, wanted("a0 b0 c0 a1"))
    assert blocked(action).guard == guard


# Stalls


def test_a_stalled_change_is_taken_back_and_tried_again_later() -> None:
    want = wanted("a0 b0 c0 a1", stall_timeout_s=600)
    early = act(JOIN, healthy(JOIN, idle_s=599), want, waited_s=700)
    assert isinstance(early, Wait)
    back = publish(act(JOIN, healthy(JOIN, idle_s=600), want, waited_s=700, now_ms=1000))
    assert back.step is Step.REVERT
    assert back.document.history[-1].automatic
    reports = {**healthy(back.document), "a1": newcomer("a1", 9)}
    pause = act(back.document, reports, want, now_ms=1000 + 119_000)
    assert isinstance(pause, Wait)
    assert (pause.step, pause.done, pause.total) == (Step.PLAN, 119, 120)
    assert publish(act(back.document, reports, want, now_ms=1000 + 120_000))


def test_a_suspended_change_does_not_stall() -> None:
    reports = changed(healthy(JOIN, idle_s=1e6), ["a1"], pace_slots=0)
    assert isinstance(act(JOIN, reports, wanted("a0 b0 c0 a1"), waited_s=1e6), Wait)


def test_one_lost_report_is_no_stall_but_long_silence_everywhere_is() -> None:
    want = wanted("a0 b0 c0 a1")
    heard = without(healthy(JOIN), "a1")
    assert isinstance(act(JOIN, heard, want, waited_s=1e6), Wait)
    gone = PeerView(state="down", boot=1, silent_s=700.0)
    up = PeerView(state="up", boot=1, silent_s=0.1)
    deaf = changed(heard, ["a0", "b0", "c0"], peers={1: up, 2: up, 3: up, 4: gone})
    assert publish(act(JOIN, deaf, want, waited_s=1e6)).document.phase is Phase.STABLE


# Drain


def test_a_drain_runs_to_its_end_and_retires_the_store() -> None:
    want = wanted("a0 b0 c0")
    prepare = publish(act(FOUR, healthy(FOUR), want)).document
    assert (prepare.change and prepare.change.kind) == "drain"
    switch = publish(act(prepare, healthy(prepare, pulled=True), want)).document
    stable = publish(act(switch, healthy(switch), want)).document
    assert stable.current == {"a0": 1, "b0": 2, "c0": 3}
    assert stable.retired == {4: store_id(4)}
    leaver = member(DRAIN, 4, epoch=stable.epoch, digest=stable.digest(), status="retired")
    reports = {**healthy(stable), "a1": leaver}
    assert act(stable, reports, want) == RemoveSeats(seats=("a1",))
    assert act(stable, healthy(stable), want) == Done()


def test_a_drain_that_is_wanted_back_is_taken_back() -> None:
    action = publish(act(DRAIN, healthy(DRAIN), wanted("a0 b0 c0 a1")))
    assert action.document.current == FOUR.current
    assert action.document.retired == {}


def test_a_dead_node_is_drained_from_the_survivors() -> None:
    want = wanted("a0 b0 c0")
    action = publish(act(FOUR, without(healthy(FOUR), "a1"), want))
    assert set(action.document.target) == set(want.seats)


def test_a_drain_waits_until_all_others_are_in_step() -> None:
    reports = changed(healthy(FOUR), ["b0"], pulls={})
    action = blocked(act(FOUR, reports, wanted("a0 b0 c0")))
    assert action.guard == "FullyReplicated"


def test_others_join_before_a_drain_would_leave_too_few() -> None:
    reports = {**healthy(THREE), "d0": newcomer("d0", 4)}
    action = publish(act(THREE, reports, wanted("a0 b0 d0")))
    assert set(action.document.target) == {"a0", "b0", "c0", "d0"}


def test_a_dead_node_that_nobody_wants_does_not_keep_its_successor_out() -> None:
    reports = {**without(healthy(THREE), "c0"), "d0": newcomer("d0", 4)}
    action = publish(act(THREE, reports, wanted("a0 b0 d0")))
    assert set(action.document.target) == {"a0", "b0", "c0", "d0"}


def test_a_dead_node_leaves_before_the_living() -> None:
    five = document("a0 b0 c0 a1 b1")
    want = wanted("a0 b0 c0", max_nodes_per_change=1)
    for dead in ("a1", "b1"):
        action = publish(act(five, without(healthy(five), dead), want))
        assert five.current.keys() - action.document.target.keys() == {dead}


def test_others_join_before_a_drain_whose_receivers_have_no_room() -> None:
    four = document("a0 b0 c0 d0")
    full = changed(healthy(four), four.current, disk_used=800_000_000)
    assert blocked(act(four, full, wanted("a0 b0 c0"))).guard == "RoomFor"
    action = publish(act(four, {**full, "e0": newcomer("e0", 5)}, wanted("a0 b0 c0 e0")))
    assert set(action.document.target) == {"a0", "b0", "c0", "d0", "e0"}


def test_a_drain_without_room_says_so() -> None:
    action = blocked(act(THREE, healthy(THREE), wanted("a0 b0")))
    assert action.guard == "PlacementPossible"


def test_a_drained_node_stays_until_all_others_are_in_step() -> None:
    stable = DRAIN.switched().committed(now_ms=1)
    behind = changed(healthy(stable), ["b0"], pulls={})
    action = blocked(act(stable, {**behind, "a1": None}, wanted("a0 b0 c0")))
    assert (action.guard, action.step) == ("FullyReplicated", Step.SHRINK)


def test_a_node_that_never_joined_goes_at_once() -> None:
    reports = {**changed(healthy(THREE), ["b0"], pulls={}), "a1": newcomer("a1", 9)}
    assert act(THREE, reports, wanted()) == RemoveSeats(seats=("a1",))


# What cannot be done


@pytest.mark.parametrize(
    "want",
    [
        wanted(factor=2),
        wanted(write_quorum=3),
        wanted(zone_policy="none"),
        wanted(virtual_nodes=150),
        wanted(slots=128),
    ],
)
def test_parameters_of_a_living_cluster_do_not_change(want: Wanted) -> None:
    assert blocked(act(THREE, healthy(THREE), want)).guard == "ConfigValid"


def test_an_empty_disk_on_a_named_seat_is_not_its_old_self() -> None:
    reports = {**healthy(THREE), "b0": newcomer("b0", 99)}
    action = blocked(act(THREE, reports, wanted()))
    assert action.guard == "NotBuilt"
    assert "b0" in action.message


def test_a_node_that_answers_for_another_seat_is_unknown() -> None:
    reports = {**healthy(THREE), "b0": member(THREE, 1), "a1": newcomer("a1", 9)}
    action = blocked(act(THREE, reports, wanted("a0 b0 c0 a1")))
    assert isinstance(action.verdict, Unknown)


def test_a_store_that_answers_from_two_seats_is_unknown() -> None:
    copied = {"a1": newcomer("a1", 9), "b1": newcomer("b1", 9)}
    action = act(THREE, {**healthy(THREE), **copied}, wanted("a0 b0 c0 a1 b1"))
    assert isinstance(action, Wait)
    assert (action.done, action.total) == (0, 2)


def test_a_node_of_another_cluster_is_unknown() -> None:
    reports = changed(healthy(THREE), ["b0"], cluster_id=store_id(66), epoch=99)
    action = blocked(act(THREE, {**reports, "a1": newcomer("a1", 9)}, wanted("a0 b0 c0 a1")))
    assert action.guard == "MembersVisible"


def test_no_answers_at_all_block() -> None:
    silent = dict.fromkeys(THREE.current)
    assert isinstance(blocked(act(THREE, silent, wanted("a0 b0"))).verdict, Unknown)
