"""The topology document: read strictly, written canonically, succeeded one epoch at a time."""

import json
from itertools import pairwise
from typing import Any

import pytest

from models.clusters import CLUSTER, document, draining, joining, store, store_id
from spine_core.errors import InvalidInputError
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Document, HistoryEntry, Loss, Phase

THREE = document("a0 b0 c0")
JOIN = joining(THREE, "a1", now_ms=7)
FULL = document(
    "a0 b0 c0",
    epoch=9,
    previous="0" * 64,
    next_number=6,
    history=(
        HistoryEntry(id="c-2", kind="drain", started_ms=1, ended_ms=2, result="committed"),
        HistoryEntry(id="c-5", kind="join", started_ms=3, ended_ms=4, result="reverted"),
    ),
    retired={4: store_id(4)},
    losses=(Loss(change="c-2", store=StoreNumber(4), slots="ff", at_ms=5),),
)


@pytest.mark.parametrize("doc", [THREE, JOIN, JOIN.switched(), FULL], ids=lambda d: d.phase)
def test_a_document_survives_its_json(doc: Document) -> None:
    assert Document.from_json(json.loads(doc.canonical())) == doc


def test_the_json_form_has_the_names_of_the_protocol() -> None:
    assert JOIN.to_json() == {
        "cluster_id": CLUSTER,
        "epoch": 2,
        "slots": 64,
        "vnodes": 16,
        "replication": {"factor": 3, "write_quorum": 2},
        "zone_policy": "strict",
        "stores": {
            str(n): {"id": store_id(n), "seat": seat, "zone": seat[0], "url": f"{seat}:8788"}
            for n, seat in enumerate(("a0", "b0", "c0", "a1"), start=1)
        },
        "current": {"a0": 1, "b0": 2, "c0": 3},
        "change": {
            "id": "c-2",
            "kind": "join",
            "phase": "prepare",
            "target": {"a0": 1, "b0": 2, "c0": 3, "a1": 4},
        },
        "next_number": 5,
        "previous": THREE.digest(),
        "history": [
            {
                "id": "c-2",
                "kind": "join",
                "started": 7,
                "ended": None,
                "result": None,
                "automatic": False,
            }
        ],
        "retired": {},
        "losses": [],
    }


def test_the_canonical_form_does_not_depend_on_the_order_of_keys() -> None:
    shuffled = dict(reversed(JOIN.to_json().items()))
    again = Document.from_json(shuffled)
    assert again.canonical() == JOIN.canonical()
    assert b" " not in JOIN.canonical()
    assert again.digest() == JOIN.digest()


def test_names_outside_ascii_are_written_as_utf8() -> None:
    named = document("é0 b0 c0")
    assert "é0".encode() in named.canonical()


BAD: list[tuple[str, Any]] = [
    ("cluster_id", "C1"),
    ("epoch", 0),
    ("epoch", True),
    ("slots", 100),
    ("slots", 8192),
    ("vnodes", 0),
    ("replication", []),
    ("replication.factor", 8),
    ("replication.write_quorum", 1),
    ("replication.write_quorum", 4),
    ("replication.read_quorum", 1),
    ("zone_policy", "off"),
    ("stores.0", {}),
    ("stores.01", {}),
    ("stores.16777216", {}),
    ("stores.1.id", "x"),
    ("stores.1.zone", ""),
    ("stores.1.url", None),
    ("stores.1.rack", "r"),
    ("current.a0", 4),
    ("current.a0", "1"),
    ("change.kind", "grow"),
    ("change.phase", "stable"),
    ("change.target.a1", 99),
    ("next_number", 4),
    ("previous", ""),
    ("history", {}),
    ("history[0].result", "lost"),
    ("losses[0].at", -1),
    ("surprise", 1),
]


@pytest.mark.parametrize(("path", "value"), BAD, ids=[f"{p}={v}" for p, v in BAD])
def test_a_wrong_field_is_named_by_its_path(path: str, value: Any) -> None:
    raw: Any = json.loads(JOIN.canonical())
    raw["history"][0] |= {"ended": 1, "result": "reverted"}
    raw["losses"] = [{"change": "c-1", "store": 1, "slots": "0", "at": 1}]
    *parents, last = path.replace("[0]", ".0").split(".")
    place = raw
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    place[last] = value
    with pytest.raises(InvalidInputError) as caught:
        Document.from_json(raw)
    assert caught.value.path == path


@pytest.mark.parametrize("name", sorted(THREE.to_json()))
def test_no_field_may_be_missing(name: str) -> None:
    raw = JOIN.to_json()
    del raw[name]
    if name == "change":
        raw["stores"].pop("4")
        assert Document.from_json(raw).phase is Phase.STABLE
        return
    with pytest.raises(InvalidInputError, match=name):
        Document.from_json(raw)


def refused(doc: Document, path: str, **fields: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Document.from_json(doc.to_json() | fields)
    assert caught.value.path == path


def test_a_store_on_no_seat_is_refused() -> None:
    stores = {**THREE.to_json()["stores"], "4": store("a1", 4).to_json()}
    refused(THREE, "stores.4", stores=stores, next_number=5)


def test_a_retired_number_is_named_no_more() -> None:
    refused(JOIN, "stores.4", retired={"4": store_id(9)})


def test_one_store_id_cannot_have_two_numbers() -> None:
    stores = THREE.to_json()["stores"]
    stores["2"]["id"] = store_id(1)
    refused(THREE, "stores", stores=stores)


def test_one_store_cannot_sit_on_two_seats() -> None:
    refused(THREE, "current", current={"a0": 1, "b0": 1, "c0": 3})


def test_seats_that_cannot_hold_the_replicas_are_refused() -> None:
    refused(THREE, "current", replication={"factor": 5, "write_quorum": 3})


@pytest.mark.parametrize("kind", ["drain", "replace"])
def test_a_target_must_fit_its_kind(kind: str) -> None:
    refused(JOIN, "change.target", change=JOIN.to_json()["change"] | {"kind": kind})


def test_the_running_change_ends_the_history() -> None:
    refused(JOIN, "history", history=[])


# Successors


def test_every_successor_names_its_predecessor() -> None:
    switch = JOIN.switched()
    chain = [THREE, JOIN, switch, switch.committed(now_ms=9)]
    for before, after in pairwise(chain):
        assert after.epoch == before.epoch + 1
        assert after.previous == before.digest()
        assert Document.from_json(after.to_json()) == after


def test_a_committed_join_keeps_all_and_a_reverted_one_retires_the_joiner() -> None:
    done = JOIN.switched().committed(now_ms=9)
    assert done.current == {"a0": 1, "b0": 2, "c0": 3, "a1": 4}
    assert done.retired == {}
    back = JOIN.reverted(now_ms=9, automatic=True)
    assert back.current == THREE.current
    assert back.retired == {4: store_id(4)}
    assert back.history[-1] == HistoryEntry(
        id="c-2", kind="join", started_ms=7, ended_ms=9, result="reverted", automatic=True
    )


def test_a_store_number_is_given_once() -> None:
    again = joining(JOIN.reverted(now_ms=9), "a1")
    assert again.target["a1"] == 5
    assert set(again.stores) == {1, 2, 3, 5}


def test_a_change_goes_back_from_switch_through_prepare() -> None:
    back = JOIN.switched().unswitched()
    assert (back.phase, back.epoch) == (Phase.PREPARE, 4)
    assert back.change == JOIN.change
    with pytest.raises(AssertionError):
        JOIN.switched().reverted(now_ms=1)
    with pytest.raises(AssertionError):
        JOIN.committed(now_ms=1)


def test_a_replaced_seat_keeps_its_place_and_changes_its_store() -> None:
    fresh = store("b0", 77)
    change = THREE.with_change("replace", joining=(fresh,), now_ms=1, automatic=True)
    assert Document.from_json(change.to_json()) == change
    assert change.members() == {1, 2, 3, 4}
    done = change.switched().committed(now_ms=2)
    assert done.current == {"a0": 1, "b0": 4, "c0": 3}
    assert done.retired == {2: store_id(2)}
    assert done.history[-1].automatic


def test_a_committed_drain_retires_the_leaver() -> None:
    four = document("a0 b0 c0 a1")
    done = draining(four, "a1").switched().committed(now_ms=1)
    assert done.current == THREE.current
    assert done.retired == {4: store_id(4)}


def test_the_history_keeps_the_last_sixteen_changes() -> None:
    doc = THREE
    for n in range(20):
        doc = joining(doc, "a1").reverted(now_ms=n)
    assert [entry.ended_ms for entry in doc.history] == list(range(4, 20))
