"""What must hold of a simulated cluster: of its history, of its disks at any instant, and at the end."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

from simulation.clients import KEYS, NAMESPACE, History
from simulation.cluster import SimulatedCluster
from spine_core.records.consistency import Model
from spine_core.records.encoding import decode, split_body, version_in
from spine_core.records.ids import slot_of
from spine_core.records.sessions import Session
from spine_core.records.versions import ABSENT, Version, hlc_of, ms_of
from spine_core.scalars import Hlc, StoreNumber
from spine_core.topology.placement import Placement
from spine_node.engine.node import Node
from spine_node.store import checksum, key_of

SCAN_MAX = 10_000


def check_history(history: History) -> None:
    """Hold every answer to those that had been given before its question was asked."""
    for key in KEYS:
        _check_key(history, key)


def _check_key(history: History, key: str) -> None:
    reads = [read for read in history.reads if read.key == key]
    quorum_reads = [read for read in reads if read.model in {Model.CAUSAL, Model.STRONG}]
    known = [(w.ended_s, w.version) for w in history.acknowledged(key) if w.version is not None]
    known += [(read.ended_s, read.version) for read in quorum_reads]

    def known_at(moment_s: float) -> Version:
        return max((version for ended_s, version in known if ended_s < moment_s), default=ABSENT)

    for write in history.acknowledged(key):
        assert write.version is not None
        assert write.version > known_at(write.began_s), f"{write} is shadowed by what was known"
    for read in quorum_reads:
        assert read.version >= known_at(read.began_s), f"{read} missed what was known"
    for read in reads:
        if read.model is not Model.EVENTUAL:
            assert read.version >= read.needed, f"{read} missed its session's own write"
    versions = [w.version for w in history.acknowledged(key)]
    assert len(versions) == len(set(versions)), f"a version of {key} was issued twice"


def check_served(cluster: SimulatedCluster, history: History, since_s: float) -> None:
    """Liveness: whoever asks a node of a healed cluster is answered, if it is there to stay."""
    assert cluster.document is not None
    asked = [write for write in history.writes if write.began_s > since_s and write.ready]
    assert asked, "nobody asked"
    staying = cluster.document.current.keys()
    refused = [write for write in asked if write.version is None and write.seat in staying]
    assert not refused, f"a healed cluster refused {len(refused)}: {refused[:2]}"


def check_kept(cluster: SimulatedCluster, history: History) -> None:
    """Hold every replica to the acknowledged writes, once all faults are over and repaired."""
    assert cluster.document is not None
    placement = Placement(cluster.document)
    for key in KEYS:
        slot = slot_of(NAMESPACE, key, cluster.document.slots)
        replicas = [node for node in cluster.nodes if _number(node) in placement.write_set(slot)]
        held = {node.store.get(key_of(slot, NAMESPACE, key)) for node in replicas}
        assert len(held) == 1, f"the replicas of {key} differ"
        (raw,) = held
        acknowledged = history.acknowledged(key)
        newest = max((w.version for w in acknowledged if w.version is not None), default=ABSENT)
        assert (ABSENT if raw is None else version_in(raw)) >= newest, f"{key} has lost {newest!r}"
        if raw is not None:
            _check_content(history, key, raw)


def _check_content(history: History, key: str, raw: bytes) -> None:
    record = decode(raw, checksum)
    body = split_body(record.body)[1] or None
    writes = [w for w in history.writes if w.key == key and w.body == body]
    assert writes, f"{key} holds what nobody wrote"
    for write in history.acknowledged(key):
        assert write.version != record.version or write.body == body, f"{key} was exchanged"
    assert any(w.outcome != "not-applied" for w in writes), f"{key} holds what was not applied"


def _number(node: Node) -> int | None:
    view = node.membership.view
    return view.number if view else None


class HasSession(Protocol):
    """A client, as far as its clock is of interest."""

    session: Session


def clocks_agree(cluster: SimulatedCluster, clients: Sequence[HasSession]) -> bool:
    """Whether nothing is ahead of the walls any more, as nodes and sessions are after a jump back."""
    seen = [node.hlc.now() for node in cluster.nodes]
    latest = max(seen + [client.session.t for client in clients])
    return all(ms_of(latest) <= m.clock.physical_ms() + 1 for m in cluster.machines.values())


def is_settled(cluster: SimulatedCluster) -> bool:
    """Whether all replicas of all slots are at one epoch and hold the same."""
    named = [node for node in cluster.nodes if node.membership.view and node.membership.view.number]
    if not cluster.document or {node.membership.epoch for node in named} != {
        cluster.document.epoch
    }:
        return False
    placement = Placement(cluster.document)
    roots: dict[int, set[bytes]] = defaultdict(set)
    for node in named:
        for slot in placement.slots_of(StoreNumber(_number(node) or 0)):
            roots[slot].add(node.store.root(slot))
    return all(len(of_slot) == 1 for of_slot in roots.values()) and len(named) == len(
        cluster.document.members()
    )


class StableTimeCheck:
    """Remembers every stable time that any node believed in, and holds all disks to it for good."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster
        self._believed: dict[tuple[int, str], int] = {}  # (slot, store id) → highest F
        self.highest = 0

    def age_s(self) -> float:
        """Return how far the highest stable time of any slot is behind."""
        now_ms = max(machine.clock.physical_ms() for machine in self._cluster.machines.values())
        return (now_ms - ms_of(Hlc(self.highest))) / 1000

    def look(self) -> None:
        """Look at all nodes and disks at this instant; a slot that a store lost is forgotten."""
        for machine in self._cluster.machines.values():
            for slot in range(self._cluster.wanted.slots) if machine.process is not None else ():
                if slot not in machine.node.store.owned:
                    self._believed.pop((slot, machine.node.operations.store_id()), None)
        for node in self._cluster.nodes:
            self._believe(node)
        for slot in range(self._cluster.wanted.slots):
            self._compare(slot)

    def _believe(self, node: Node) -> None:
        view = node.membership.view
        if view is None or view.number is None:
            return
        for slot in view.placement.slots_of(view.number):
            stable = node.stable.of(view, slot)
            self.highest = max(self.highest, stable)
            for store in view.placement.write_set(slot):
                place = slot, view.document.stores[store].id
                self._believed[place] = max(self._believed.get(place, 0), stable)

    def _compare(self, slot: int) -> None:
        held = {
            seat: (
                stable,
                {key: version_in(raw) for key, raw in _records(machine.node, slot)},
            )
            for seat, machine in self._cluster.machines.items()
            if machine.process is not None
            and (stable := self._believed.get((slot, machine.node.operations.store_id())))
        }
        for there, (stable, records) in held.items():
            for key, version in records.items():
                for here, (also, copies) in held.items():
                    # a register of nothing has timestamp 0: whoever lacks it has nothing, too
                    covered = 0 < hlc_of(version) <= min(stable, also)
                    assert not covered or copies.get(key, ABSENT) >= version, (
                        f"{here} lacks {key!r} {version!r} of {there}, below its stable time"
                    )


def _records(node: Node, slot: int) -> list[tuple[bytes, bytes]]:
    return node.store.scan(slot, None, SCAN_MAX, 1 << 30)[0]
