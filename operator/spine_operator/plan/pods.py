"""Decides how many pods each zone gets. Pure.

Invariant (I4): never fewer than the highest seat of current ∪ target needs.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from spine_core.planning.actions import Step, Wait
from spine_core.planning.wanted import Wanted
from spine_core.topology.document import Seat
from spine_core.topology.seats import seat_name
from spine_operator.observe.observed import Observed
from spine_operator.plan.actions import DeleteChild, Resize
from spine_operator.ports import Kind
from spine_operator.resource.seats import named_seats, pods_for


def pods_of_new_set(observed: Observed, wanted: Wanted, zone: str) -> int:
    """Return the pods of a StatefulSet that was not seen.

    Enough for every seat, claim and pod: if it was there after all, nothing is taken away.
    """
    seats = {
        **{seat: address.zone for seat, address in wanted.seats.items()},
        **named_seats(observed.document),
        **{seat: claim.zone for seat, claim in observed.claims.items()},
        **{seat: pod.zone for seat, pod in observed.pods.items()},
    }
    return pods_for(seats, zone)


def resizes(observed: Observed, wanted: Wanted) -> Iterator[Resize]:
    """Yield the zones that have another number of pods than spec and document need."""
    seats = {seat: address.zone for seat, address in wanted.seats.items()}
    seats |= named_seats(observed.document)
    for zone in sorted(observed.sets):
        pods = pods_for(seats, zone)
        if pods != observed.sets[zone].pods:
            yield resize(observed, zone, pods, step=Step.PODS)


def shrink(observed: Observed, seats: AbstractSet[Seat]) -> Resize | Wait:
    """Take away the seats that stand highest in their zone, one zone at a time."""
    for zone, zone_set in sorted(observed.sets.items()):
        pods = zone_set.pods
        while pods and seat_name(observed.cluster.key.name, zone, pods - 1) in seats:
            pods -= 1
        if pods < zone_set.pods:
            return resize(observed, zone, pods, step=Step.SHRINK)
    return Wait(step=Step.SHRINK, message=f"waiting for {', '.join(sorted(seats))} to end")


def resize(observed: Observed, zone: str, pods: int, *, step: Step) -> Resize:
    """Return the action that gives a zone this number of pods."""
    assert pods >= pods_for(named_seats(observed.document), zone), "a named seat needs its pod"
    zone_set = observed.sets[zone]
    return Resize(
        zone=zone,
        statefulset=zone_set.name,
        version=zone_set.version,
        before=zone_set.pods,
        pods=pods,
        step=step,
    )


def delete_empty_set(observed: Observed) -> DeleteChild | None:
    """Delete an empty StatefulSet whose zone the spec does not list any more."""
    listed = {zone.name for zone in observed.cluster.spec.zones}
    standing = {pod.zone for pod in observed.pods.values()}
    kept = listed | standing | set(named_seats(observed.document).values())
    for zone, zone_set in sorted(observed.sets.items()):
        if zone_set.pods == 0 and zone not in kept:
            return DeleteChild(
                kind=Kind.STATEFULSET, name=zone_set.name, uid=zone_set.uid, step=Step.SHRINK
            )
    return None
