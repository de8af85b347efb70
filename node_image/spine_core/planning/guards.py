"""The guards of a topology change: each answers whether one step may be taken now. Pure.

Unknown is an answer of its own and blocks like Block: only proof lets a step pass. No guard ever
relaxes with time. The *candidate* is the placement of the document that would be published. Each
guard has a table of cases in tests/unit/core/planning/test_guards.py, and the search in
tests/models/test_topology.py finds the loss that its absence allows.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from spine_core.planning.observed_stores import ObservedStores, Reports
from spine_core.planning.reports import Report
from spine_core.replication.pull_sources import sources_of
from spine_core.replication.quorums import barrier_size, slots_without_barrier
from spine_core.scalars import Slot, StoreNumber
from spine_core.topology.document import Document, Seat
from spine_core.topology.placement import Placement
from spine_core.topology.ring import Zone, ZonePolicy
from spine_core.topology.seats import placeable

NOBODY: frozenset[StoreNumber] = frozenset()


class Guard(StrEnum):
    """Every guard by the name that people see. The second half is asked by the operator alone."""

    BARRIER = "Barrier"
    CONFIG_VALID = "ConfigValid"
    DOCUMENT_WHOLE = "DocumentWhole"
    FULLY_REPLICATED = "FullyReplicated"
    MEMBERS_VISIBLE = "MembersVisible"
    NOT_BUILT = "NotBuilt"
    PEERS_AGREE = "PeersAgree"
    PLACEMENT_POSSIBLE = "PlacementPossible"
    ROOM_FOR = "RoomFor"
    SOURCES = "Sources"
    VOLUME_FREE = "VolumeFree"

    CERTIFICATES_VALID = "CertificatesValid"
    NAMES_FREE = "NamesFree"
    NOT_PAUSED = "NotPaused"
    NOT_SUSPENDED = "NotSuspended"

    @property
    def needs_human(self) -> bool:
        """Whether a Block of this guard lasts until a person does something about it.

        The others pass by themselves when nodes answer and catch up, or block because a person has
        asked for it. An Unknown never needs one: the next report may settle it.
        """
        return self not in _PASS_BY_THEMSELVES | _ASKED_FOR


_PASS_BY_THEMSELVES = {
    Guard.BARRIER,
    Guard.FULLY_REPLICATED,
    Guard.MEMBERS_VISIBLE,
    Guard.PEERS_AGREE,
}
_ASKED_FOR = {Guard.NOT_PAUSED, Guard.NOT_SUSPENDED}


@dataclass(frozen=True, slots=True)
class Pass:
    """The step may be taken."""


@dataclass(frozen=True, slots=True)
class Block:
    """The step must not be taken."""

    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether the step may be taken, so it must not."""

    message: str


Verdict = Pass | Block | Unknown


def document_whole(document: Document, reports: Reports) -> Verdict:
    """One writer (DocumentWhole): no store holds a newer document, or another one of this epoch.

    A document restored from an old backup, or written by two writers, is found here.
    """
    expected = {document.epoch: document.digest(), document.epoch - 1: document.previous}
    for report in _present(reports):
        if report.cluster_id != document.cluster_id or report.epoch is None:
            continue
        if report.epoch > document.epoch:
            return Block(f"{report.seat} is at epoch {report.epoch}, later than {document.epoch}")
        if report.digest != expected.get(report.epoch, report.digest):
            return Block(f"{report.seat} holds another document of epoch {report.epoch}")
    return Pass()


def barrier_reached(placement: Placement, observed: ObservedStores) -> Verdict:
    """Barrier (R5): enough stores of every slot have durably adopted this epoch.

    Published sooner, the next epoch could meet a write quorum that still works two epochs behind.
    """
    missing = slots_without_barrier(placement, observed.acked)
    if not missing:
        return Pass()
    message = f"epoch {placement.epoch} lacks the barrier of {missing} slots"
    return _block_or_unknown(observed, observed.document.members() - observed.acked, message)


def pending_slots(
    placement: Placement, observed: ObservedStores
) -> dict[StoreNumber, frozenset[Slot]]:
    """Return store → gained slots that it has not reported pulled in this change."""
    change = placement.document.change
    assert change is not None, "only a change moves slots"
    pending: dict[StoreNumber, frozenset[Slot]] = {}
    for number, gained in placement.gained().items():
        report = observed.known(number)
        progress = report.change if report else None
        done = progress.pulled if progress and progress.id == change.id else frozenset[Slot]()
        pending[number] = gained - done
    return {number: slots for number, slots in pending.items() if slots}


def pulled(placement: Placement, observed: ObservedStores) -> Verdict:
    """Pulled (R5): every store has reported every slot it gains, under this change's id.

    A read from the new replicas would miss acknowledged writes otherwise; the id keeps out reports
    about an earlier change of the same slots.
    """
    pending = pending_slots(placement, observed)
    if not pending:
        return Pass()
    count = sum(len(slots) for slots in pending.values())
    return _block_or_unknown(observed, pending.keys(), f"{count} slots are not pulled yet")


def sources(candidate: Placement, observed: ObservedStores) -> Verdict:
    """Sources (R4): each gained slot has its displaced store live, or RF - W + 1 other live ones."""
    short: set[StoreNumber] = set()
    slots = 0
    for (old, new), group in candidate.groups.items():
        gained = set(new) - set(old)
        if any(sources_of(candidate, group[0], store, observed.live) is None for store in gained):
            short |= set(old) - observed.live
            slots += len(group)
    if not slots:
        return Pass()
    return _block_or_unknown(
        observed, short, f"{slots} slots have too few live stores to pull from"
    )


def members_visible(
    observed: ObservedStores, *, targets: AbstractSet[StoreNumber] = NOBODY
) -> Verdict:
    """MembersVisible: every store that the document names reports, the targets excepted."""
    unseen = _without_report(observed, observed.document.members() - targets)
    return Unknown(f"no report from {unseen}") if unseen else Pass()


def peers_agree(observed: ObservedStores, *, targets: AbstractSet[StoreNumber] = NOBODY) -> Verdict:
    """PeersAgree: every live member sees every other live member up, the targets excepted."""
    live = sorted(observed.live - targets)
    unknown: Verdict | None = None
    for reader in live:
        report = observed.known(reader)
        assert report is not None, "a live member reports"
        for other in live:
            view = report.peers.get(other)
            if other == reader or (view is not None and view.state == "up"):
                continue
            if view is not None:
                return Block(f"store {reader} sees store {other} {view.state}")
            unknown = unknown or Unknown(f"store {reader} says nothing about store {other}")
    return unknown or Pass()


def fully_replicated(
    placement: Placement, observed: ObservedStores, *, excepted: AbstractSet[StoreNumber] = NOBODY
) -> Verdict:
    """FullyReplicated: old and new replicas of every slot are in step, the excepted ones aside."""
    short: set[StoreNumber] = set()
    slots = 0
    for (old, new), group in placement.groups.items():
        behind = {
            store
            for replicas in {frozenset(old), frozenset(new)}
            for store in replicas - excepted - observed.synced(replicas, excepted)
        }
        if behind:
            short |= behind
            slots += len(group)
    if not slots:
        return Pass()
    return _block_or_unknown(observed, short, f"{slots} slots have too few replicas in step")


def placement_possible(
    seats: Mapping[Seat, Zone], *, factor: int, zone_policy: ZonePolicy
) -> Verdict:
    """PlacementPossible: the zones have seats enough for `factor` replicas of a slot."""
    if placeable(seats, factor=factor, zone_policy=zone_policy):
        return Pass()
    return Block(
        f"{len(seats)} nodes in {len(set(seats.values()))} zones cannot hold {factor} replicas"
        f" under zone policy {zone_policy}"
    )


def tolerable(candidate: Placement) -> Verdict:
    """Return Pass when every slot keeps enough of its present stores for a barrier.

    Then the loss of all joiners stops neither writes nor the way back.
    """
    needed = barrier_size(candidate)
    short = sum(
        len(slots)
        for (old, new), slots in candidate.groups.items()
        if len(set(old) & set(new)) < needed
    )
    if not short:
        return Pass()
    return Block(f"{short} slots would keep fewer than {needed} of their present stores")


def room_for(candidate: Placement, reports: Reports, *, min_free_percent: int) -> Verdict:
    """RoomFor: every store that gains slots has the disk for them and keeps its share of it free."""
    stores = candidate.document.stores
    by_id = {report.store_id: report for report in _present(reports)}
    known = {number: by_id[store.id] for number, store in stores.items() if store.id in by_id}
    for number, gained in candidate.gained().items():
        report = known.get(number)
        sizes = [_slot_bytes(candidate, slot, known) for slot in gained]
        if report is None or None in sizes:
            return Unknown(f"the disk of {stores[number].seat}, or what it gains, is not known")
        needed = report.disk_used + sum(size for size in sizes if size is not None)
        allowed = report.disk_quota * (100 - min_free_percent) // 100
        if needed > allowed:
            return Block(f"{stores[number].seat} would hold {needed} of {allowed} bytes allowed")
    return Pass()


def _slot_bytes(
    candidate: Placement, slot: Slot, known: Mapping[StoreNumber, Report]
) -> int | None:
    """Return the largest copy of a slot; a store that lists no sizes counts with its mean."""
    sizes = [
        known[store].slot_bytes.get(slot, 0)
        if known[store].slot_bytes
        else -(-known[store].disk_used // len(candidate.slots_of(store)))
        for store in candidate.current(slot)
        if store in known
    ]
    return max(sizes, default=None)


def _present(reports: Reports) -> tuple[Report, ...]:
    return tuple(report for report in reports.values() if report is not None)


def _without_report(observed: ObservedStores, stores: AbstractSet[StoreNumber]) -> str:
    document = observed.document
    silent = sorted(number for number in stores if observed.known(number) is None)
    return ", ".join(f"{document.stores[number].seat} (store {number})" for number in silent)


def _block_or_unknown(
    observed: ObservedStores, stores: AbstractSet[StoreNumber], message: str
) -> Block | Unknown:
    """Return Unknown when the missing piece may stand in a report that did not come."""
    silent = _without_report(observed, stores)
    return Unknown(f"{message}; no report from {silent}") if silent else Block(message)
