"""Asks for the next action, and says which kind it must be."""

from models.clusters import CLUSTER
from spine_core.actions import Action, Blocked, Publish
from spine_core.members import Reports
from spine_core.next_action import next_action
from spine_core.topology import Document
from spine_core.wanted import Wanted


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
