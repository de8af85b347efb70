"""Reports: read from JSON, slot sets in hex, and what they prove about members."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.clusters import (
    CLUSTER,
    changed,
    document,
    healthy,
    joining,
    member,
    newcomer,
    store_id,
    stores,
)
from spine_core.errors import InvalidInputError
from spine_core.planning.observed_stores import ObservedStores
from spine_core.planning.reports import PeerView, Report, slots_from_hex, slots_to_hex
from spine_core.scalars import Slot

THREE = document("a0 b0 c0")


def raw() -> dict[str, Any]:
    return {
        "wire": 1,
        "version": "1.0.0",
        "seat": "a0",
        "cluster_id": CLUSTER,
        "store": {"id": store_id(1), "number": 1},
        "boot": 7,
        "up_s": 913.2,
        "clean": False,
        "status": "ok",
        "epoch": 42,
        "digest": "d",
        "config_digest": "e",
        "change": {
            "id": "c-17",
            "pulled": "8" + "0" * 14 + "1",
            "gained": 5,
            "bytes_done": 1,
            "bytes_total": 9,
            "idle_s": 3.2,
        },
        "pulls": {"2": 4.1},
        "peers": {"2": {"state": "up", "boot": 5, "silent_s": 0.4}},
        "disk": {"used": 1, "quota": 9},
        "pace": {"bytes_per_s": 33554432, "slots": 4},
        "jobs": [],
        "tls": {"bundle": "…", "leaf": "…"},
        "slots": {"0": [3, 900], "17": [1, 100]},
    }


def test_a_report_is_read_from_the_admin_plane() -> None:
    report = Report.from_json(raw())
    assert (report.seat, report.store_id, report.number) == ("a0", store_id(1), 1)
    assert (report.epoch, report.digest, report.boot, report.up_s) == (42, "d", 7, 913.2)
    assert report.change is not None
    assert report.change.pulled == {0, 63}
    assert report.pulls == {2: 4.1}
    assert report.peers == {2: PeerView(state="up", boot=5, silent_s=0.4)}
    assert (report.disk_used, report.disk_quota, report.pace_slots) == (1, 9, 4)
    assert report.slot_bytes == {0: 900, 17: 100}


def test_an_unjoined_node_has_no_cluster_yet() -> None:
    empty = dict.fromkeys(("cluster_id", "epoch", "digest", "config_digest", "change"))
    value = raw() | empty | {"status": "unjoined", "store": {"id": store_id(1), "number": None}}
    report = Report.from_json(value)
    assert (report.cluster_id, report.epoch, report.number, report.change) == (None,) * 4


BAD: list[tuple[str, Any]] = [
    ("status", "fine"),
    ("store.id", "1"),
    ("store.number", 0),
    ("up_s", -1),
    ("up_s", float("nan")),
    ("epoch", "42"),
    ("change.pulled", "xyz"),
    ("change.gained", 5000),
    ("pulls.two", 1),
    ("pulls.2", None),
    ("peers.2.state", "gone"),
    ("disk.quota", None),
    ("slots.4096", [1, 1]),
    ("slots.5", [1]),
]


@pytest.mark.parametrize(("path", "value"), BAD, ids=[f"{p}={v}" for p, v in BAD])
def test_a_wrong_field_is_named_by_its_path(path: str, value: Any) -> None:
    wrong = raw()
    *parents, last = path.split(".")
    place = wrong
    for name in parents:
        place = place[name]
    place[last] = value
    with pytest.raises(InvalidInputError) as caught:
        Report.from_json(wrong)
    assert caught.value.path == path


@given(st.sets(st.integers(0, 63).map(Slot)))
def test_slot_sets_survive_their_hex(slots: set[Slot]) -> None:
    text = slots_to_hex(slots, 64)
    assert len(text) == 16
    assert slots_from_hex(text) == slots


def test_slot_zero_is_the_first_bit_of_1024_digits() -> None:
    assert slots_to_hex({Slot(0)}, 4096) == "8" + "0" * 1023
    assert slots_to_hex({Slot(4095)}, 4096) == "0" * 1023 + "1"
    assert slots_from_hex("8" + "0" * 1023) == {0}


@pytest.mark.parametrize("text", ["", "0x1", "FF", "g"])
def test_a_slot_set_is_lower_case_hex(text: str) -> None:
    with pytest.raises(InvalidInputError):
        slots_from_hex(text)


# Members


@pytest.mark.parametrize(
    ("fields", "acked", "live"),
    [
        ({}, True, True),
        ({"status": "draining"}, True, True),
        ({"status": "starting"}, True, False),
        ({"status": "full"}, True, True),
        ({"status": "skewed"}, True, False),
        ({"status": "isolated"}, True, False),
        ({"epoch": 0}, False, False),
        ({"digest": "other"}, False, False),
        ({"store_id": store_id(9)}, False, False),
        ({"cluster_id": store_id(9)}, False, False),
    ],
)
def test_a_member_is_live_only_at_this_epoch_with_this_store(
    fields: dict[str, Any], acked: bool, live: bool
) -> None:
    members = ObservedStores(THREE, changed(healthy(THREE), ["b0"], **fields))
    assert (2 in members.acked) == acked
    assert (2 in members.live) == live


def test_nodes_behind_are_named_with_the_store_they_reported() -> None:
    change = joining(THREE, "a1")
    reports = {
        "a0": member(change, 1),
        "b0": member(THREE, 2),
        "a1": newcomer("a1", 4),
    }
    stranger = newcomer("x0", 50)
    retired = member(THREE, 3, seat="y0", store_id=store_id(60), status="retired")
    members = ObservedStores(change, {**reports, "c0": None, "x0": stranger, "y0": retired})
    assert members.behind == {"b0": store_id(2), "a1": store_id(4), "y0": store_id(60)}


@pytest.mark.parametrize(
    ("pulls", "up_s", "synced"),
    [
        ({1: 5.0, 3: 5.0}, 1000.0, True),
        ({1: 5.0}, 1000.0, False),
        ({1: 5.0, 3: 60.0}, 1000.0, False),
        ({1: 5.0, 3: 8.0}, 7.0, False),
    ],
)
def test_a_replica_is_in_step_when_it_pulled_from_all_others_since_both_started(
    pulls: dict[int, float], up_s: float, synced: bool
) -> None:
    members = ObservedStores(THREE, changed(healthy(THREE), ["b0"], pulls=pulls, up_s=up_s))
    assert (2 in members.synced(stores(1, 2, 3))) == synced
    restarted = ObservedStores(THREE, changed(healthy(THREE), ["a0"], up_s=3.0))
    assert 2 not in restarted.synced(stores(1, 2, 3))


def test_a_dead_replica_holds_nobody_back() -> None:
    reports = changed({**healthy(THREE), "c0": None}, ["b0"], pulls={1: 5.0})
    assert ObservedStores(THREE, reports).synced(stores(1, 2, 3)) == {1, 2}
