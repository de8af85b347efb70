"""Decides about volume claims: which may hold a joiner, which are left over, which may go. Pure.

Invariant (I3): a claim is deleted only while the document is whole and past its barrier, names no seat
on it, and either has retired its store or has never known one, and while no node that answers is
still at an older document. Whoever asks has checked the first.
"""

from collections.abc import Iterator

from spine_core.planning.actions import Blocked, Step, Wait
from spine_core.planning.guards import Block, Guard
from spine_core.planning.wanted import Wanted
from spine_core.topology.document import Document, Seat
from spine_core.topology.seats import ordinal_of
from spine_operator.naming import DELETE_AFTER_LABEL, STORE_LABEL
from spine_operator.observe.observed import Claim, Observed
from spine_operator.plan.actions import DeleteClaim, LabelClaim, Resize
from spine_operator.plan.pods import resize
from spine_operator.resource.seats import named_seats, pods_for


def store_labels(observed: Observed) -> Iterator[LabelClaim]:
    """Yield the labels that tie claims to the stores that the document names."""
    document = observed.document
    if document is None:
        return
    for store in document.stores.values():
        claim, report = observed.claims.get(store.seat), observed.reports.get(store.seat)
        if claim is None or report is None or report.store_id != store.id:
            continue
        if claim.store_id != store.id:
            yield LabelClaim(name=claim.name, uid=claim.uid, labels={STORE_LABEL: store.id})


def used_seats(observed: Observed, wanted: Wanted, document: Document) -> tuple[Seat, ...]:
    """Return the seats that ought to join and stand on a volume that was used before."""
    named, retired = named_seats(document), set(document.retired.values())
    used = []
    for seat in wanted.seats:
        claim, report = observed.claims.get(seat), observed.reports.get(seat)
        marked = claim is not None and claim.store_id is not None
        known = report is not None and report.store_id in retired
        if seat not in named and (marked or known):
            used.append(seat)
    return tuple(used)


def recycle(
    observed: Observed, wanted: Wanted, document: Document
) -> Resize | DeleteClaim | Blocked | Wait | None:
    """Free the first wanted seat whose volume was used before: delete its pod, then its volume.

    Only for a volume whose store is retired, and only where volumes of drained nodes may be deleted.
    """
    used = used_seats(observed, wanted, document)
    if not used:
        return None
    seat, zone = used[0], wanted.seats[used[0]].zone
    claim = observed.claims.get(seat)
    refusal = _refusal(observed, claim, document)
    if pods_for(named_seats(document), zone) > ordinal_of(seat):
        refusal = f"{seat} holds a store that has left, and members stand above it in its zone"
    if refusal:
        return Blocked(guard=Guard.VOLUME_FREE, verdict=Block(refusal), step=Step.VOLUME)
    zone_set = observed.sets.get(zone)
    if zone_set is not None and zone_set.pods > ordinal_of(seat):
        return resize(observed, zone, ordinal_of(seat), step=Step.VOLUME)
    in_use = seat in observed.pods or bool(observed.stores.behind)
    if in_use or claim is None or claim.terminating:
        return Wait(step=Step.VOLUME, message=f"waiting for the used volume of {seat} to be free")
    return DeleteClaim(
        name=claim.name, uid=claim.uid, why=f"{seat} is wanted again and needs an empty volume"
    )


def leftover_claims(observed: Observed, wanted: Wanted, document: Document) -> Iterator[Claim]:
    """Yield the claims that no seat of document or spec stands on, and that no pod mounts."""
    kept = named_seats(document).keys() | wanted.seats.keys()
    for seat, claim in sorted(observed.claims.items()):
        zone_set = observed.sets.get(claim.zone)
        asked_for = zone_set is not None and zone_set.pods > ordinal_of(seat)
        if not (seat in kept or seat in observed.pods or asked_for or claim.terminating):
            yield claim


def clean_up(
    observed: Observed, wanted: Wanted, document: Document
) -> tuple[LabelClaim | None, DeleteClaim | None]:
    """Return the next label and the next deletion among the claims that are left over.

    The volume of a retired store is kept for a while; one that never held a member goes at once. A
    store id that the document does not know keeps its volume for ever.
    """
    storage = observed.cluster.spec.storage
    if storage.keep_when_scaled_down or observed.stores.behind:
        return None, None
    retired, now_s = set(document.retired.values()), observed.now_ms // 1000
    for claim in leftover_claims(observed, wanted, document):
        if claim.store_id is None:
            why = "it never held a member"
            return None, DeleteClaim(name=claim.name, uid=claim.uid, why=why)
        if claim.store_id not in retired:
            continue
        if claim.delete_after_s is None:
            labels = {DELETE_AFTER_LABEL: str(now_s + storage.keep_for_s)}
            return LabelClaim(name=claim.name, uid=claim.uid, labels=labels), None
        if claim.delete_after_s <= now_s:
            why = f"store {claim.store_id} has left the cluster"
            return None, DeleteClaim(name=claim.name, uid=claim.uid, why=why)
    return None, None


def _refusal(observed: Observed, claim: Claim | None, document: Document) -> str:
    """Return why a used volume must stay, empty when it may go."""
    if claim is not None and claim.store_id not in {None, *document.retired.values()}:
        return f"{claim.name} holds store {claim.store_id}, which this cluster does not know"
    if observed.cluster.spec.storage.keep_when_scaled_down:
        name = claim.name if claim else "the volume"
        return (
            f"{name} holds a store that has left, and storage.whenScaledDown is Retain: delete it"
        )
    return ""
