"""The health of a node: readiness, and the status it reports (protocol.md §4.3 R10, §15).

Readiness never needs a quorum at start, or a full restart could not end. A node that has lost touch
with a majority of `current` turns clients away: its reads may be old, and it cannot write.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from spine_core.planning.reports import Status
from spine_node.clock import Clock
from spine_node.engine.cluster.replica_client import ReplicaClient
from spine_node.engine.cluster.topology_view import Membership, MemberStatus
from spine_node.in_flight import InFlight
from spine_node.store import Store

FIRST_ROUND_S = 30.0  # how long readiness waits for the first round of pulls
ISOLATED_S = 10.0  # without a majority for so long: not ready
SILENCED_S = 60.0  # and reads are refused


@dataclass(slots=True)
class Health:
    """What a node judges its readiness and status by."""

    membership: Membership
    replicas: ReplicaClient
    clock: Clock
    started_at: float
    store: Store
    pulled_once: Callable[[], bool]  # a round of pulls from all peers has ended
    in_flight: InFlight = field(default_factory=InFlight)
    draining: bool = False
    stopping: bool = False  # not ready any more, but whoever still comes is served
    resigned: bool = False
    majority_at: float = field(init=False)  # when a majority was last in reach

    def __post_init__(self) -> None:
        self.majority_at = self.started_at  # peers get the time of an isolation to appear

    def look(self) -> None:
        """Note whether a majority of the current members is in reach, and how full the disk is."""
        self.store.check_space()
        view = self.membership.member
        if view is None:
            self.majority_at = self.clock.now()
            return
        members = set(view.document.current.values())
        reached = len(members & (self.replicas.up() | {view.number}))
        if 2 * reached > len(members):
            self.majority_at = self.clock.now()

    def isolated_s(self) -> float:
        """Return for how long no majority was in reach."""
        return self.clock.now() - self.majority_at

    def status(self) -> Status:
        """Return the state as the operator reads it."""
        status = self.membership.status
        if status is not MemberStatus.MEMBER:
            return "retired" if status is MemberStatus.RETIRED else "unjoined"
        if self.draining:
            return "draining"
        if self.isolated_s() > ISOLATED_S:
            return "isolated"
        if not self._caught_up():
            return "starting"
        return "full" if self.store.is_full else "ok"

    def unready(self) -> str | None:
        """Return why clients may not come, None when they may."""
        if self.resigned or self.stopping:
            return "this node is stopping"
        if self.store.failure is not None:
            return "this node's disk has failed"
        status = self.status()
        # A full node is ready: nobody could empty it otherwise.
        return None if status in {"ok", "full"} else f"this node is {status}"

    def refusal(self) -> str | None:
        """Return why a client that came all the same is turned away, None when it is served."""
        if self.resigned:
            return "this node has resigned"
        if self.draining:
            return "this node is draining"
        if self.isolated_s() > SILENCED_S:
            return "this node has not reached a majority of the cluster for a minute"
        return None

    def leaving(self) -> str | None:
        """Return why whoever is served for long should go to another node, None when it may stay."""
        return "this node is stopping" if self.stopping else self.refusal()

    def _caught_up(self) -> bool:
        return self.pulled_once() or self.clock.now() - self.started_at > FIRST_ROUND_S
