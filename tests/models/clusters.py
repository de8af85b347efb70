"""Small clusters for tests: documents, reports of members that are well, and what is wanted.

A seat is written as zone and ordinal, `a0`; its url is `a0:8788`.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from uuid import UUID

from spine_core.planning.observed_stores import Reports
from spine_core.planning.reports import ChangeProgress, PeerView, Report
from spine_core.planning.wanted import SeatAddress, Wanted
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Document, Seat, StoreInfo
from spine_core.topology.placement import Placement

CLUSTER = str(UUID(int=0xC1))
SLOTS = 64
VIRTUAL_NODES = 16


def store_id(n: int) -> str:
    return str(UUID(int=n))


def store(seat: Seat, n: int) -> StoreInfo:
    return StoreInfo(id=store_id(n), seat=seat, zone=seat[0], url=f"{seat}:8788")


def document(seats: str = "a0 b0 c0", **fields: Any) -> Document:
    """Return epoch 1 with stores 1..N on the seats; RF 3, W 2, zones strict unless told."""
    numbered = {n: store(seat, n) for n, seat in enumerate(seats.split(), start=1)}
    defaults: dict[str, Any] = {
        "cluster_id": CLUSTER,
        "epoch": 1,
        "slots": SLOTS,
        "virtual_nodes": VIRTUAL_NODES,
        "factor": 3,
        "write_quorum": 2,
        "zone_policy": "strict",
        "stores": numbered,
        "current": {info.seat: n for n, info in numbered.items()},
        "next_number": len(numbered) + 1,
    }
    return Document(**defaults | fields)


def joining(before: Document, seats: str, *, now_ms: int = 0) -> Document:
    """Return the prepare of a join; the new stores are called after their numbers."""
    stores = tuple(store(seat, before.next_number + i) for i, seat in enumerate(seats.split()))
    return before.with_change("join", joining=stores, now_ms=now_ms)


def draining(before: Document, seats: str, *, now_ms: int = 0) -> Document:
    return before.with_change("drain", leaving=frozenset(seats.split()), now_ms=now_ms)


def wanted(seats: str = "a0 b0 c0", **fields: Any) -> Wanted:
    places = {seat: SeatAddress(zone=seat[0], url=f"{seat}:8788") for seat in seats.split()}
    defaults: dict[str, Any] = {"slots": SLOTS, "virtual_nodes": VIRTUAL_NODES}
    return Wanted(name="spine", seats=places, **defaults | fields)


def newcomer(seat: Seat, n: int, **fields: Any) -> Report:
    """Return the report of a node with an empty store."""
    return Report(seat=seat, store_id=store_id(n), status="unjoined", disk_quota=10**9, **fields)


def stores(*numbers: int) -> frozenset[StoreNumber]:
    """Return a set of stores by their numbers."""
    return frozenset(map(StoreNumber, numbers))


def member(doc: Document, number: int, **fields: Any) -> Report:
    """Return the report of a member that is well: at this epoch, in step with all others."""
    store = doc.stores[StoreNumber(number)]
    others = [other for other in doc.stores if other != number]
    defaults: dict[str, Any] = {
        "seat": store.seat,
        "store_id": store.id,
        "status": "ok",
        "cluster_id": doc.cluster_id,
        "number": number,
        "epoch": doc.epoch,
        "digest": doc.digest(),
        "up_s": 1000.0,
        "pulls": dict.fromkeys(others, 5.0),
        "peers": dict.fromkeys(others, PeerView(state="up", boot=1, silent_s=0.3)),
        "disk_used": 1000,
        "disk_quota": 10**9,
    }
    return Report(**defaults | fields)


def healthy(
    doc: Document, *, pulled: bool = False, idle_s: float = 0.0
) -> dict[Seat, Report | None]:
    """Return the reports of all members, all well; `pulled` says how the change stands."""
    return {
        info.seat: replace(
            member(doc, number), change=_progress(doc, number, pulled=pulled, idle_s=idle_s)
        )
        for number, info in doc.stores.items()
    }


def without(reports: Reports, *seats: Seat) -> Reports:
    """Return the reports with those of some seats lost."""
    return {**reports, **dict.fromkeys(seats)}


def changed(reports: Reports, seats: Iterable[Seat], **fields: Any) -> Reports:
    """Return the reports with some fields of some seats set."""
    out = dict(reports)
    for seat in seats:
        report = out[seat]
        assert report is not None
        out[seat] = replace(report, **fields)
    return out


def _progress(
    doc: Document, number: StoreNumber, *, pulled: bool, idle_s: float
) -> ChangeProgress | None:
    gained = Placement(doc).gained().get(number)
    if doc.change is None or gained is None:
        return None
    return ChangeProgress(
        id=doc.change.id,
        pulled=gained if pulled else frozenset(),
        gained=len(gained),
        bytes_done=0,
        bytes_total=0,
        idle_s=idle_s,
    )
