"""How well the slots are kept: what the conditions of the status are made of. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from spine_core.quorums import majority
from spine_core.topology import StoreNumber
from spine_operator.observed import Observed


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Counts of slots and stores under the stored document."""

    named: frozenset[StoreNumber]
    acked: frozenset[StoreNumber]  # have durably adopted this epoch
    live: frozenset[StoreNumber]
    unseen: frozenset[StoreNumber]  # gave no report
    unavailable_slots: int  # miss their write or read quorum
    under_replicated_slots: int  # miss a replica in step
    shared_slots: int  # have two replicas on one host


def health_of(observed: Observed) -> Health | None:
    """Return the health of the cluster, None while there is no document."""
    document = observed.document
    if document is None:
        return None
    members = observed.members
    hosts = _hosts(observed)
    unavailable = under = shared = 0
    for (a, b), slots in observed.placement.groups.items():
        sets = {frozenset(a), frozenset(b)}
        needed = max(document.write_quorum, majority(document.factor))
        unavailable += len(slots) * any(len(s & members.live) < needed for s in sets)
        under += len(slots) * any(len(members.synced(s)) < len(s) for s in sets)
        shared += len(slots) * any(_share(s, hosts) for s in sets)
    return Health(
        named=document.named(),
        acked=members.acked,
        live=members.live,
        unseen=frozenset(n for n in document.named() if members.known(n) is None),
        unavailable_slots=unavailable,
        under_replicated_slots=under,
        shared_slots=shared,
    )


def _hosts(observed: Observed) -> Mapping[StoreNumber, str]:
    assert observed.document is not None, "asked only with a document"
    found = {}
    for number, store in observed.document.stores.items():
        pod = observed.pods.get(store.seat)
        if pod is not None and pod.host is not None:
            found[number] = pod.host
    return found


def _share(replicas: frozenset[StoreNumber], hosts: Mapping[StoreNumber, str]) -> bool:
    known = [hosts[store] for store in replicas if store in hosts]
    return len(set(known)) < len(known)
