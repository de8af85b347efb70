"""Which seats a spec means, and in which order they come and go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.errors import InvalidInputError
from spine_core.topology.seats import leaving_order, ordinal_of, placeable, wanted_seats

ZONES = ("eu-a", "eu-b", "eu-c", "eu-d")


def seats(replicas: int, zones: tuple[str, ...] = ZONES, **more: object) -> list[str]:
    return [seat for seat, _ in wanted_seats("s", zones, replicas, **more)]  # type: ignore[arg-type]


def test_nodes_go_round_the_zones_in_their_order() -> None:
    assert wanted_seats("spine", ("eu-b", "eu-a"), 3) == (
        ("spine-eu-b-0", "eu-b"),
        ("spine-eu-a-0", "eu-a"),
        ("spine-eu-b-1", "eu-b"),
    )


def test_without_zones_there_is_one_called_default() -> None:
    assert seats(2, ()) == ["s-default-0", "s-default-1"]


def test_three_to_four_to_three_over_four_zones_ends_where_it_began() -> None:
    three, four = wanted_seats("s", ZONES, 3), wanted_seats("s", ZONES, 4)
    extra = set(four) - set(three)
    assert extra == {("s-eu-d-0", "eu-d")}
    first = leaving_order(dict(four), {seat for seat, _ in extra}, ZONES)
    assert first == ("s-eu-d-0",)


@given(st.integers(0, 40), st.integers(1, 6))
def test_one_node_more_adds_one_seat_and_one_less_takes_it_away(nodes: int, zones: int) -> None:
    names = tuple(f"z{i}" for i in range(zones))
    before, after = wanted_seats("s", names, nodes), wanted_seats("s", names, nodes + 1)
    assert after[:-1] == before
    everyone = {seat for seat, _ in after}
    assert leaving_order(dict(after), everyone, names)[0] == after[-1][0]


def test_counts_per_zone_are_taken_as_they_are() -> None:
    assert seats(0, ("a", "b"), counts={"a": 1, "b": 3}) == ["s-a-0", "s-b-0", "s-b-1", "s-b-2"]


def test_a_draining_zone_gets_no_node_and_the_others_take_them() -> None:
    assert seats(3, ("a", "b", "c"), draining={"c"}) == ["s-a-0", "s-b-0", "s-a-1"]
    assert seats(0, ("a", "b"), counts={"a": 1, "b": 0}, draining={"b"}) == ["s-a-0"]
    with pytest.raises(InvalidInputError):
        seats(3, ("a",), draining={"a"})


def test_the_fullest_zone_gives_first_and_of_several_the_one_listed_last() -> None:
    six = dict(wanted_seats("s", ("a", "b", "c"), 6))
    leaving = {"s-a-1", "s-b-1", "s-c-1"}
    assert leaving_order(six, leaving, ("a", "b", "c")) == ("s-c-1", "s-b-1", "s-a-1")
    more = six | {"s-a-2": "a"}
    assert leaving_order(more, {"s-a-2", "s-c-1"}, ("a", "b", "c"))[0] == "s-a-2"


def test_the_highest_ordinal_of_a_zone_goes_first_as_a_number() -> None:
    many = {f"s-a-{n}": "a" for n in range(12)}
    assert leaving_order(many, set(many), ("a",))[:3] == ("s-a-11", "s-a-10", "s-a-9")
    assert (ordinal_of("node"), ordinal_of("n-07"), ordinal_of("7-n")) == (-1, 7, -1)


def test_a_zone_that_is_not_listed_any_more_gives_before_its_equals() -> None:
    nodes = {"s-a-0": "a", "s-b-0": "b", "s-z-0": "z"}
    assert leaving_order(nodes, set(nodes), ("a", "b"))[0] == "s-z-0"


def test_three_replicas_need_three_seats_that_the_zones_may_give() -> None:
    assert placeable({"x": "a", "y": "b", "z": "c"}, factor=3, zone_policy="strict")
    assert not placeable({"x": "a", "y": "b"}, factor=3, zone_policy="none")
    assert not placeable({}, factor=1, zone_policy="none")
