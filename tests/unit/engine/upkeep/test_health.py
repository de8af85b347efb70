"""What a node says of itself: ready without a quorum at start, not for long without one later."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from spine_core.scalars import StoreNumber
from spine_core.topology.placement import Placement
from spine_node.engine.cluster.replica_client import ReplicaClient
from spine_node.engine.cluster.topology_view import Membership, MemberStatus, MemberView
from spine_node.engine.upkeep.health import FIRST_ROUND_S, ISOLATED_S, SILENCED_S, Health
from spine_node.store import StorageError, Store
from unit.engine.harness import OTHER, ManualClock, document_for


@dataclass
class Reach:
    """Stands in for membership, peers and store: who we are, whom we reach, what the disk says."""

    status: MemberStatus = MemberStatus.MEMBER
    reached: set[int] = field(default_factory=set)
    is_full: bool = False
    failure: StorageError | None = None
    pulled: bool = True
    looked: int = 0  # how often the writer was asked to look again

    @property
    def member(self) -> MemberView | None:
        if self.status is not MemberStatus.MEMBER:
            return None
        document = document_for(OTHER)
        return MemberView(
            document=document, placement=Placement(document), digest="", number=StoreNumber(1)
        )

    def up(self) -> frozenset[int]:
        return frozenset(self.reached)

    def check_space(self) -> None:
        self.looked += 1


def health_of(reach: Reach, clock: ManualClock) -> Health:
    any_reach: Any = reach
    return Health(
        cast("Membership", any_reach),
        cast("ReplicaClient", any_reach),
        clock,
        clock.now(),
        cast("Store", any_reach),
        lambda: reach.pulled,
    )


def pass_seconds(health: Health, clock: ManualClock, seconds: float) -> None:
    for _ in range(round(seconds)):
        clock.seconds += 1
        health.look()


def test_a_restart_of_everybody_becomes_ready_without_a_quorum(clock: ManualClock) -> None:
    health = health_of(Reach(), clock)
    assert health.unready() is None
    assert health.refusal() is None


def test_a_node_that_cannot_pull_is_ready_after_a_while(clock: ManualClock) -> None:
    health = health_of(Reach(reached={2}, pulled=False), clock)
    assert health.status() == "starting"
    pass_seconds(health, clock, FIRST_ROUND_S + 1)
    assert health.status() == "ok"


def test_a_node_without_a_majority_turns_clients_away_in_two_steps(clock: ManualClock) -> None:
    reach = Reach(reached={2})
    health = health_of(reach, clock)
    pass_seconds(health, clock, 100)
    assert health.status() == "ok"
    reach.reached.clear()
    pass_seconds(health, clock, ISOLATED_S + 1)
    assert health.status() == "isolated"
    assert health.refusal() is None
    pass_seconds(health, clock, SILENCED_S)
    assert health.refusal() is not None
    reach.reached.add(3)
    pass_seconds(health, clock, 1)
    assert health.status() == "ok"
    assert health.refusal() is None


def test_one_of_three_peers_is_a_majority_with_ourselves(clock: ManualClock) -> None:
    health = health_of(Reach(reached={3}), clock)
    pass_seconds(health, clock, 200)
    assert health.unready() is None


@pytest.mark.parametrize(
    ("membership", "status"),
    [(MemberStatus.UNJOINED, "unjoined"), (MemberStatus.RETIRED, "retired")],
)
def test_a_node_that_no_document_names_is_never_ready(
    clock: ManualClock, membership: MemberStatus, status: str
) -> None:
    health = health_of(Reach(status=membership), clock)
    pass_seconds(health, clock, 200)
    assert health.status() == status
    assert health.unready() is not None


def test_a_node_that_stops_serves_whoever_still_comes_until_it_resigns(clock: ManualClock) -> None:
    health = health_of(Reach(reached={2}), clock)
    health.stopping = True
    assert health.unready() is not None
    assert health.refusal() is None
    health.resigned = True
    assert health.refusal() is not None


def test_a_draining_node_serves_nobody(clock: ManualClock) -> None:
    health = health_of(Reach(reached={2}), clock)
    health.draining = True
    assert health.status() == "draining"
    assert health.refusal() is not None


def test_a_full_node_says_so_and_stays_ready_or_nobody_could_empty_it(clock: ManualClock) -> None:
    reach = Reach(reached={2}, is_full=True)
    health = health_of(reach, clock)
    assert (health.status(), health.unready(), health.refusal()) == ("full", None, None)
    reach.is_full = False
    assert health.status() == "ok"
    pass_seconds(health, clock, 3)
    assert reach.looked == 3


def test_a_node_whose_disk_has_failed_is_not_ready(clock: ManualClock) -> None:
    health = health_of(Reach(reached={2}, failure=StorageError("Input/output error")), clock)
    assert health.unready() == "this node's disk has failed"
