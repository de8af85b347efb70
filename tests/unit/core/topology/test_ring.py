from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine_core.scalars import Slot
from spine_core.topology.ring import Ring, Seat, Zone, ZonePolicy

SLOTS = 4096
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
SIX = {f"spine-{zone}-{i}": zone for zone in ZONES for i in range(2)}

Table = list[tuple[Seat, ...]]  # slot → replicas


def table(seats: Mapping[Seat, Zone], policy: ZonePolicy, factor: int = 3) -> Table:
    ring = Ring(seats)
    slots = map(Slot, range(SLOTS))
    return [ring.get_replica_nodes(slot, factor=factor, zone_policy=policy) for slot in slots]


def moves(before: Table, after: Table) -> list[int]:
    return [len(set(new) - set(old)) for old, new in zip(before, after, strict=True)]


def moved_share(before: Table, after: Table) -> float:
    return sum(moves(before, after)) / sum(map(len, before))


def one_zone(names: str, count: int) -> dict[Seat, Zone]:
    return {f"{names}-{i}": "a" for i in range(count)}


def three_zones(count: int) -> dict[Seat, Zone]:
    return {f"spine-{i}": f"z{i % 3}" for i in range(count)}


@pytest.mark.parametrize(
    ("slot", "replicas"),
    [
        (Slot(0), ("spine-us-east-1b-0", "spine-us-east-1a-0", "spine-us-east-1c-1")),
        (Slot(2048), ("spine-us-east-1b-1", "spine-us-east-1c-1", "spine-us-east-1a-1")),
        (Slot(4095), ("spine-us-east-1b-0", "spine-us-east-1a-0", "spine-us-east-1c-1")),
    ],
)
def test_these_slots_live_on_these_seats_for_ever(slot: Slot, replicas: tuple[Seat, ...]) -> None:
    ring = Ring(SIX)
    assert ring.get_replica_nodes(slot, factor=3, zone_policy="strict") == replicas
    assert ring.get_node(slot) == replicas[0]


@pytest.mark.parametrize(
    ("policy", "digest"),
    [
        ("strict", "ca0ef82d6422b43ba54f2f034304e0bf13df18abd3d05661de4f84b77c90443d"),
        ("none", "e1f9309cd0904bca0907210367ff25b17fcf8ef8acf2fc433e1e7809fd7a389b"),
    ],
)
def test_the_whole_placement_of_six_seats_is_pinned(policy: ZonePolicy, digest: str) -> None:
    assert sha256(repr(table(SIX, policy)).encode()).hexdigest() == digest


def test_the_order_in_which_seats_are_given_does_not_matter() -> None:
    reverse = dict(reversed(SIX.items()))
    assert table(reverse, "strict") == table(SIX, "strict")


seat_zones = st.lists(st.sampled_from("abcd"), min_size=2, max_size=10)


@given(
    seat_zones,
    st.integers(1, 5),
    st.sampled_from(["strict", "none"]),
    st.sampled_from([1, 8, 150]),
    st.data(),
)
def test_one_seat_more_or_less_moves_at_most_one_replica_of_a_slot(
    zones: list[Zone],
    factor: int,
    policy: ZonePolicy,
    virtual_nodes: int,
    data: st.DataObject,
) -> None:
    seats = {f"s{i}": zone for i, zone in enumerate(zones)}
    joining = data.draw(st.sampled_from(sorted(set(zones))))  # a new zone would change the caps
    small = Ring(seats, virtual_nodes=virtual_nodes, slots=64)
    large = Ring(seats | {"new": joining}, virtual_nodes=virtual_nodes, slots=64)
    for slot in map(Slot, range(64)):
        before = small.get_replica_nodes(slot, factor=factor, zone_policy=policy)
        after = large.get_replica_nodes(slot, factor=factor, zone_policy=policy)
        assert set(after) - set(before) <= {"new"}
        assert len(set(before) - set(after)) <= 1


@given(
    seat_zones,
    st.integers(1, 5),
    st.sampled_from(["strict", "balanced", "none"]),
    st.integers(0, 63).map(Slot),
)
def test_no_zone_holds_more_replicas_than_its_cap(
    zones: list[Zone], factor: int, policy: ZonePolicy, slot: Slot
) -> None:
    seats = {f"s{i}": zone for i, zone in enumerate(zones)}
    ring = Ring(seats, virtual_nodes=8, slots=64)
    caps = ring.zone_caps(factor, policy)
    replicas = ring.get_replica_nodes(slot, factor=factor, zone_policy=policy)
    held = Counter(seats[seat] for seat in replicas)
    possible = sum(min(cap, zones.count(zone)) for zone, cap in caps.items())
    assert len(set(replicas)) == len(replicas) == min(factor, possible)
    assert all(held[zone] <= cap for zone, cap in caps.items())


def test_three_replicas_in_three_strict_zones_stand_in_one_zone_each() -> None:
    for replicas in table(three_zones(7), "strict"):
        assert {three_zones(7)[seat] for seat in replicas} == {"z0", "z1", "z2"}


def test_caps_follow_the_policy() -> None:
    ring = Ring({"a0": "a", "a1": "a", "a2": "a", "a3": "a", "b0": "b", "c0": "c"})
    assert ring.zone_caps(3, "strict") == {"a": 1, "b": 1, "c": 1}
    assert ring.zone_caps(3, "balanced") == {"a": 2, "b": 1, "c": 1}
    assert ring.zone_caps(3, "none") == {"a": 3, "b": 3, "c": 3}
    assert ring.zone_caps(5, "strict") == {"a": 2, "b": 2, "c": 2}


def test_a_fourth_node_without_zones_moves_a_quarter() -> None:
    shares = []
    for names in (f"spine-{i}" for i in range(10)):
        before, after = table(one_zone(names, 3), "none"), table(one_zone(names, 4), "none")
        assert max(moves(before, after)) == 1
        shares.append(moved_share(before, after))
    assert 0.24 <= mean(shares) <= 0.27
    assert 0.22 <= min(shares) <= max(shares) <= 0.28  # a single set of names scatters


def test_a_fourth_strict_zone_moves_a_quarter() -> None:
    zones = {f"spine-z{i}-0": f"z{i}" for i in range(4)}
    three = {seat: zone for seat, zone in zones.items() if zone != "z3"}
    before, after = table(three, "strict"), table(zones, "strict")
    assert max(moves(before, after)) == 1
    assert 0.24 <= moved_share(before, after) <= 0.27


def test_a_fourth_node_in_three_strict_zones_relieves_one_node_only() -> None:
    before, after = table(three_zones(3), "strict"), table(three_zones(4), "strict")
    assert moved_share(before, after) == pytest.approx(1 / 6, abs=0.02)
    held_before = Counter(seat for replicas in before for seat in replicas)
    held_after = Counter(seat for replicas in after for seat in replicas)
    assert {seat for seat in held_before if held_after[seat] != held_before[seat]} == {"spine-0"}


@pytest.mark.parametrize(("nodes", "share"), [(3, 0.509), (6, 0.323), (9, 0.252)])
def test_growing_by_whole_strict_zones_moves_the_share_of_the_new_nodes(
    nodes: int, share: float
) -> None:
    moved = moved_share(
        table(three_zones(nodes), "strict"), table(three_zones(nodes + 3), "strict")
    )
    assert moved == pytest.approx(share, abs=0.02)


def test_the_load_of_nodes_is_even() -> None:
    held = Counter(seat for replicas in table(one_zone("spine", 4), "none") for seat in replicas)
    assert max(held.values()) / mean(held.values()) < 1.1
