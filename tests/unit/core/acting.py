"""Asks for the next action, and says which kind it must be."""

from models.clusters import CLUSTER
from spine_core.planning.actions import Action, Blocked, Publish
from spine_core.planning.next_action import next_action
from spine_core.planning.observed_stores import Reports
from spine_core.planning.wanted import Wanted
from spine_core.topology.document import Document


def act(
    doc: Document | None,
    reports: Reports,
    want: Wanted,
    *,
    waited_s: float = 60.0,
    now_ms: int = 0,
) -> Action:
    return next_action(doc, reports, want, cluster_id=CLUSTER, waited_s=waited_s, now_ms=now_ms)


def publish(action: Action) -> Publish:
    assert isinstance(action, Publish), action
    return action


def blocked(action: Action) -> Blocked:
    assert isinstance(action, Blocked), action
    return action
