"""What must hold of all disks once a world is healed."""

from collections.abc import Iterator

from simulation.clients import NAMESPACE
from simulation.cluster import SimulatedCluster
from simulation.worlds.history import WorldHistory
from spine_core.records.encoding import Record, decode, split_body
from spine_core.records.ids import slot_of
from spine_core.records.versions import ABSENT, STRONG, Version, hlc_of, kind_of
from spine_core.replication.registers.encoding import decode_state
from spine_core.replication.registers.state import RegisterState
from spine_core.topology.placement import Placement
from spine_node.engine.node import Node
from spine_node.store import checksum, key_of


def check_no_open_rounds(cluster: SimulatedCluster) -> None:
    """No value is left accepted and not learned: the reaper has had its time."""
    for machine in cluster.machines.values():
        store = machine.node.store
        left = [key for key in store.open_rounds if int.from_bytes(key[:2], "big") in store.owned]
        assert not left, f"{machine.seat} has open rounds: {left[:3]}"


def check_replicas(cluster: SimulatedCluster, history: WorldHistory) -> None:
    """All replicas of a key have the same record and register, and nothing acknowledged is lost."""
    assert cluster.document is not None
    placement = Placement(cluster.document)
    for key in history.keys:
        if not key:
            continue
        slot = slot_of(NAMESPACE, key, cluster.document.slots)
        copies = [
            (node, *_copy(node, key_of(slot, NAMESPACE, key)))
            for node in cluster.nodes
            if _number(node) in placement.write_set(slot)
        ]
        shown = {
            None if record is None or hlc_of(record.version) == 0 else record  # of nothing: absent
            for _, record, _ in copies
        }
        assert len(shown) == 1, f"the replicas of {key} differ"
        record = copies[0][1]
        values = {state.value for _, _, state in copies if state is not None and state.learned}
        assert len(values) <= 1, f"the registers of {key} differ: {values}"
        version = ABSENT if record is None else record.version
        if kind_of(version) == STRONG:
            states = [state for _, _, state in copies if state is not None and state.learned]
            assert len(states) == len(copies), f"a strong {key} without its register"
        newest = max(_acknowledged(history, key), default=ABSENT)
        assert version >= newest, f"{key} has lost {newest.hex()}: {version.hex()}"
        if record is not None:
            _check_content(history, key, record)


def _check_content(history: WorldHistory, key: str, record: Record) -> None:
    for event in history.of_key(key):
        if event.is_write and event.op == record.op:
            assert event.outcome != "fail", f"{key} holds what failed: {event}"
        if event.version[1:] == record.version[1:] and event.read_op:
            body = split_body(record.body)[1] or None
            assert event.body == body, f"{key} was exchanged: {event}"


def _acknowledged(history: WorldHistory, key: str) -> Iterator[Version]:
    return (event.version for event in history.of_key(key) if event.outcome == "ok")


def _copy(node: Node, key: bytes) -> tuple[Record | None, RegisterState | None]:
    raw, register = node.store.get(key), node.store.register(key)
    record = None if raw is None else decode(raw, checksum)
    return record, None if register is None else decode_state(register, record, checksum)


def _number(node: Node) -> int | None:
    view = node.membership.view
    return view.number if view else None
