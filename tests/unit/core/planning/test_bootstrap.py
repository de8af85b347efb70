"""A cluster begins once: when every wanted node shows an empty store, and none has ever known a cluster."""

import pytest

from models.clusters import changed, document, member, newcomer, store_id, wanted, without
from spine_core.planning.actions import Step, Wait
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Document
from unit.core.acting import act, blocked, publish

THREE = document("a0 b0 c0")
EMPTY = {seat: newcomer(seat, n) for n, seat in enumerate(("a0", "b0", "c0"), start=1)}


def test_a_cluster_begins_when_every_wanted_node_shows_an_empty_store() -> None:
    action = publish(act(None, EMPTY, wanted()))
    assert action.step is Step.COMMIT
    assert action.document.epoch == 1
    assert action.document.previous == ""
    assert action.document.current == {"a0": 1, "b0": 2, "c0": 3}
    assert action.document.stores[StoreNumber(2)].id == store_id(2)
    assert Document.from_json(action.document.to_json()) == action.document


def test_numbers_follow_the_order_of_the_wanted_seats() -> None:
    action = publish(act(None, EMPTY, wanted("c0 a0 b0")))
    assert action.document.current == {"c0": 1, "a0": 2, "b0": 3}


@pytest.mark.parametrize("silent", ["a0", "c0", "d7"])
def test_a_cluster_does_not_begin_while_one_node_is_silent(silent: str) -> None:
    action = act(None, without(EMPTY, silent), wanted())
    assert isinstance(action, Wait)
    assert action.step is Step.STORES
    assert action.total - action.done == 1


@pytest.mark.parametrize("seat", ["b0", "z9"])
def test_a_store_that_knows_a_cluster_forbids_epoch_one(seat: str) -> None:
    knowing = member(THREE, 2, seat=seat, store_id=store_id(88))
    action = blocked(act(None, {**EMPTY, seat: knowing, "c0": None}, wanted()))
    assert action.guard == "DocumentWhole"
    assert seat in action.message


def test_a_retired_store_forbids_epoch_one() -> None:
    assert blocked(act(None, changed(EMPTY, ["a0"], status="retired"), wanted()))


def test_zones_without_room_do_not_begin() -> None:
    action = blocked(act(None, {"a0": newcomer("a0", 1)}, wanted("a0")))
    assert action.guard == "PlacementPossible"
