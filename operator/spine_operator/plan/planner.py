"""Plans one reconcile pass: `spine_core.planning.next_action` in a frame of pods and volumes. Pure.

The order is the argument: what nobody may touch, then what must exist, then pods, then the document
and its change, then volumes. State is derived from the observation each time and remembered by
nobody. Invariants I2-I5, I11, I12 and I14 of operator.md §9 are tested on this module.
"""

from collections.abc import Iterator
from typing import get_args

from spine_core.planning.actions import Blocked, Step, Wait
from spine_core.planning.guards import Block, Guard
from spine_core.planning.wanted import Wanted
from spine_core.topology.document import Document
from spine_operator.certificates import LEAF_LIFE, stands_for
from spine_operator.observe.observed import Observed
from spine_operator.plan.actions import (
    ApplyChild,
    Decision,
    ExclusiveAction,
    MakeSecrets,
    ReconcilePlan,
    RenewLeaf,
    RepeatableAction,
    SetPace,
)
from spine_operator.plan.children import child_actions, stale_statefulset
from spine_operator.plan.pods import delete_empty_set, pods_of_new_set, resizes
from spine_operator.plan.topology import is_quiet, next_on_topology
from spine_operator.plan.volumes import clean_up, recycle, store_labels
from spine_operator.resource.seats import named_seats
from spine_operator.resource.spec import ZoneSpec
from spine_operator.secrets import certificate_names, purposes

PACE_SLOTS = 4  # slots that a node pulls at once; the bandwidth is bounded apart


def plan(observed: Observed, wanted: Wanted) -> ReconcilePlan:
    """Return what to do now: applies that may be repeated, and one decision."""
    refusal = _refusal(observed)
    if refusal is not None:
        return ReconcilePlan(decision=refusal)
    applies = tuple(_applies(observed, wanted))
    missing = tuple(p for p in purposes(observed.cluster) if p not in observed.secrets)
    if missing:
        decision = Wait(step=Step.SECRETS, message=f"making the Secrets {', '.join(missing)}")
        return ReconcilePlan(applies=(MakeSecrets(missing), *applies), decision=decision)
    if observed.document is None:
        return ReconcilePlan(applies=applies, decision=_bootstrap(observed, wanted))
    return _advance(observed, wanted, observed.document, applies)


def _refusal(observed: Observed) -> Wait | Blocked | None:
    """Return why nothing at all may be touched."""
    if not observed.cluster.held:
        return Wait(step=Step.FINALIZER, message="waiting for the finalizer on the custom resource")
    if observed.cluster.spec.paused:
        return Blocked(guard=Guard.NOT_PAUSED, verdict=Block("paused"), step=Step.PAUSE)
    taken = ", ".join(observed.taken)
    checks = (
        (Guard.CONFIG_VALID, "; ".join(observed.refused)),
        (Guard.NAMES_FREE, f"{taken} belongs to somebody else" if taken else ""),
        (Guard.CERTIFICATES_VALID, observed.certificate_trouble),
        (Guard.DOCUMENT_WHOLE, observed.document_trouble),
    )
    for guard, trouble in checks:
        if trouble:
            return Blocked(guard=guard, verdict=Block(trouble), step=Step.PLAN)
    return None


def _applies(observed: Observed, wanted: Wanted) -> Iterator[RepeatableAction]:
    yield from child_actions(observed)
    for zone in _zones(observed):
        pods = pods_of_new_set(observed, wanted, zone.name)
        statefulset = stale_statefulset(observed, zone, pods=pods)
        if statefulset is not None:
            yield ApplyChild(statefulset)
    if _leaf_is_due(observed):
        yield RenewLeaf()
    yield from store_labels(observed)
    yield from _paces(observed)


def _zones(observed: Observed) -> Iterator[ZoneSpec]:
    """Yield the zones of the spec, and those it has left out whose seats lost their StatefulSet.

    So the members of a zone that is on its way out can still hand over. Where their pods belong is
    forgotten with the zone's entry; their volumes know.
    """
    yield from observed.cluster.spec.zones
    listed = {zone.name for zone in observed.cluster.spec.zones}
    named = set(named_seats(observed.document).values())
    for name in sorted(named - listed - observed.sets.keys()):
        yield ZoneSpec(name=name, node_selector={}, nodes=None, drain=True)


def _leaf_is_due(observed: Observed) -> bool:
    """Return whether the nodes' certificate lacks a name or expires soon, and can be signed anew."""
    if not {"ca", "tls"} <= observed.secrets.keys():
        return False
    third_ms = LEAF_LIFE.total_seconds() * 1000 / 3
    ends_soon = observed.expiry_ms["tls"] - observed.now_ms < third_ms
    leaf = observed.secrets["tls"]["tls.crt"]
    return ends_soon or not stands_for(leaf, certificate_names(observed.cluster))


def _paces(observed: Observed) -> Iterator[SetPace]:
    rebalance = observed.cluster.spec.rebalance
    wanted = (rebalance.bytes_per_s, 0 if rebalance.suspend else PACE_SLOTS)
    for seat, report in sorted(observed.reports.items()):
        if report is None or report.number is None:
            continue
        if (report.pace_bytes_per_s, report.pace_slots) != wanted:
            yield SetPace(
                seat=seat, store_id=report.store_id, bytes_per_s=wanted[0], slots=wanted[1]
            )


def _bootstrap(observed: Observed, wanted: Wanted) -> Decision:
    """Bootstrap: as many empty pods as are wanted, then epoch 1; never where members have been."""
    marked = [claim.name for claim in observed.claims.values() if claim.store_id is not None]
    joined = [report.seat for report in observed.reports.values() if report and report.cluster_id]
    if marked or joined:
        message = (
            f"{', '.join(sorted(marked + joined))} held members before, and the topology document"
            " is gone; this operator cannot rebuild it yet"
        )
        return Blocked(guard=Guard.DOCUMENT_WHOLE, verdict=Block(message), step=Step.STORES)
    return next(resizes(observed, wanted), None) or next_on_topology(observed, wanted)


def _advance(
    observed: Observed, wanted: Wanted, document: Document, applies: tuple[RepeatableAction, ...]
) -> ReconcilePlan:
    """Take the next step on the document; between two changes, on pods and volumes as well."""
    action = next_on_topology(observed, wanted)
    if not is_quiet(observed):
        return ReconcilePlan(applies=applies, decision=action)
    growing = (resize for resize in resizes(observed, wanted) if resize.pods > resize.before)
    volume = recycle(observed, wanted, document) or next(growing, None)
    for decision in (volume, action):
        if isinstance(decision, get_args(ExclusiveAction)):
            return ReconcilePlan(applies=applies, decision=decision)
    label, deletion = clean_up(observed, wanted, document)
    applies = (*applies, label) if label else applies
    return ReconcilePlan(
        applies=applies, decision=deletion or delete_empty_set(observed) or volume or action
    )
