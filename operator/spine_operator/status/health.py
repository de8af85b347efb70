"""Counts the slots that miss replicas or quorums, for the conditions of the status. Pure.

This is for people, so it does not dip while a new epoch is on its way: a store counts from when it
serves, whichever epoch it is at. The guards, which let steps pass, are stricter (spine_core.planning.guards).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from spine_core.planning.observed_stores import has_pulled
from spine_core.planning.reports import SERVING, Report
from spine_core.replication.quorums import majority
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Phase
from spine_operator.observe.observed import Observed

Replicas = frozenset[StoreNumber]
Serving = Mapping[StoreNumber, Report]

_STARTING = ("unjoined", "starting")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotHealth:
    """Counts of slots and stores under the stored document."""

    acked: Replicas  # have durably adopted this epoch
    unseen: Replicas  # gave no report
    starting: Replicas  # serve soon, without anybody's help
    unavailable_slots: int  # miss their write or read quorum
    under_replicated_slots: int  # miss a replica in step, of those that reads ask
    shared_slots: int  # have two replicas on one host


def health_of(observed: Observed) -> SlotHealth | None:
    """Return the health of the cluster, None while there is no document."""
    document = observed.document
    if document is None:
        return None
    known = {number: observed.stores.known(number) for number in document.members()}
    serving = {n: r for n, r in known.items() if r is not None and r.status in SERVING}
    writable = {number for number, report in serving.items() if report.status != "full"}
    writes, reads = document.write_quorum, majority(document.factor)
    hosts = _hosts(observed)
    unavailable = under = shared = 0
    for (old, new), slots in observed.placement.groups.items():
        asked = frozenset(new if document.phase is Phase.SWITCH else old)
        unavailable += len(slots) * any(
            len(writable & set(stores)) < writes or len(serving.keys() & set(stores)) < reads
            for stores in (old, new)
        )
        under += len(slots) * (not _in_step(asked, serving))
        shared += len(slots) * _share(asked, hosts)
    return SlotHealth(
        acked=observed.stores.acked,
        unseen=frozenset(number for number, report in known.items() if report is None),
        starting=frozenset(n for n, r in known.items() if r is not None and r.status in _STARTING),
        unavailable_slots=unavailable,
        under_replicated_slots=under,
        shared_slots=shared,
    )


def _in_step(replicas: Replicas, serving: Serving) -> bool:
    """Whether all replicas serve, and each has pulled from each other one of late."""
    return replicas <= serving.keys() and all(
        has_pulled(serving[reader], serving[source], source)
        for reader in replicas
        for source in replicas
        if reader != source
    )


def _hosts(observed: Observed) -> Mapping[StoreNumber, str]:
    assert observed.document is not None, "asked only with a document"
    found = {}
    for number, store in observed.document.stores.items():
        pod = observed.pods.get(store.seat)
        if pod is not None and pod.host is not None:
            found[number] = pod.host
    return found


def _share(replicas: Replicas, hosts: Mapping[StoreNumber, str]) -> bool:
    known = [hosts[store] for store in replicas if store in hosts]
    return len(set(known)) < len(known)
