"""Single steps of a test: write here, read there, look into one store."""

from collections.abc import Iterable

import msgspec

from simulation.clients import NAMESPACE, TIMEOUT_S, memory
from simulation.cluster import Machine, SimulatedCluster
from simulation.layout import SLOTS
from spine_core.errors import ProblemError
from spine_core.records.consistency import Model
from spine_core.records.encoding import FLAG_TOMBSTONE, Record, encode, version_in
from spine_core.records.ids import slot_of
from spine_core.records.sessions import Session
from spine_core.records.versions import Version, hlc_from_ms, make_version
from spine_core.replication.put_rules import PutKind
from spine_core.replication.replica_status import ReplicaStatus
from spine_core.scalars import Hlc, Origin, Slot
from spine_core.topology.document import Phase
from spine_node.links.frames import Body, CallFrame, CallHeader, encoder
from spine_node.links.server import Calls
from spine_node.ports import ReadOutcome, ReadRequest, WriteOutcome, WriteRequest
from spine_node.store import checksum, key_of
from spine_node.store.operations import Put, PutRecord


async def write(
    machine: Machine,
    key: str | None,
    content: str | None,
    *,
    session: Session | None = None,
    idempotency_key: str | None = None,
    model: Model | None = None,
    tags: tuple[str, ...] = (),
    ttl_seconds: int | None = None,
    timeout_s: float = TIMEOUT_S,
) -> WriteOutcome:
    """Write at a node; content None deletes, key None creates."""
    request = WriteRequest(
        namespace=NAMESPACE,
        memory_id=key,
        memory=None if content is None else memory(content, tags),
        subject="tester",
        session=session,
        deadline=machine.cluster.now_s + timeout_s,
        idempotency_key=idempotency_key,
        model=model,
        tags=tags,
        ttl_seconds=ttl_seconds,
    )
    return await machine.up.ask(machine.node.engine.write(request))


async def read(
    machine: Machine, key: str, model: Model, *, session: Session | None = None
) -> ReadOutcome:
    """Read at a node."""
    request = ReadRequest(
        namespace=NAMESPACE,
        memory_id=key,
        session=session,
        deadline=machine.cluster.now_s + TIMEOUT_S,
        model=model,
    )
    return await machine.up.ask(machine.node.engine.read(request))


async def problem_of(
    machine: Machine, key: str, *, timeout_s: float = TIMEOUT_S
) -> ProblemError | None:
    """Write at a node; return why it failed."""
    try:
        await write(machine, key, "?", timeout_s=timeout_s)
    except ProblemError as problem:
        return problem
    return None


def place_of(key: str) -> tuple[int, bytes]:
    """Return slot and store key of a record."""
    slot = slot_of(NAMESPACE, key, SLOTS)
    return slot, key_of(slot, NAMESPACE, key)


def held(machine: Machine, key: str) -> Version | None:
    """Return the version that a machine's store holds."""
    raw = machine.node.store.get(place_of(key)[1])
    return None if raw is None else version_in(raw)


def packed(body: object) -> Body:
    """Encode a body of any layout."""
    return msgspec.Raw(encoder.encode(body))


def call(
    machine: Machine, method: str, body: object, *, epoch: int, hlc: int = 0
) -> list[tuple[str, Body]]:
    """Call a node as a peer does; what it answers is appended to the result."""
    answers: list[tuple[str, Body]] = []
    calls = Calls(
        machine.node.links.service, lambda reply: answers.append((reply.status, reply.body))
    )
    header = CallHeader(method, epoch, Hlc(hlc), 1000)
    frame = CallFrame(header, 1, [packed(body)])
    machine.up.context.run(calls.start, frame)
    return answers


async def answer_of(
    machine: Machine, method: str, body: object, *, epoch: int, hlc: int = 0
) -> tuple[ReplicaStatus, Body]:
    """Call a node as a peer does; return its answer."""
    answers = call(machine, method, body, epoch=epoch, hlc=hlc)
    await machine.cluster.until(lambda: bool(answers), f"{machine.seat} answers {method}")
    ((status, reply),) = answers
    return ReplicaStatus(status), reply


def cut_off(cluster: SimulatedCluster, seat: str, others: Iterable[str] | None = None) -> None:
    """Let nothing pass between a machine and others, all of them unless told."""
    machine = cluster.machines[seat]
    for other in others if others is not None else set(cluster.machines) - {seat}:
        there = cluster.machines[other]
        cluster.network.cuts |= {(machine.url, there.url), (there.url, machine.url)}


def planted(key: str, version: Version) -> Put:
    """Return a put as one replica may have got it and the others not."""
    slot, place = place_of(key)
    raw = encode(Record(version=version, op=1, body=b"\x00\x00{}", flags=FLAG_TOMBSTONE), checksum)
    return Put([PutRecord(place, Slot(slot), raw)], 1, kind=PutKind.WRITE_BACK)


async def plant(machine: Machine, count: int, *, age_ms: int = 60_000, epoch: int = 1) -> None:
    """Give records to one store alone."""
    stamp = hlc_from_ms(machine.clock.physical_ms() - age_ms)
    for number in range(count):
        slot, place = place_of(f"planted-{number}")
        version = make_version(Hlc(stamp + number), Origin(9))
        raw = encode(Record(version=version, op=1, body=b"\x00\x00" + bytes(200)), checksum)
        await machine.node.store.submit(
            Put([PutRecord(place, Slot(slot), raw)], epoch, kind=PutKind.WRITE_BACK)
        )


def in_phase(cluster: SimulatedCluster, phase: Phase) -> bool:
    assert cluster.document is not None
    return cluster.document.phase is phase and len(cluster.published) > 1


def damage(machine: Machine, key: str) -> None:
    """Flip a bit of a record on a machine's disk."""
    store, (_, place) = machine.node.store, place_of(key)
    raw = store.get(place)
    if raw is not None:
        with store._environment.begin(write=True, db=store._rec) as txn:
            txn.put(place, raw[:-1] + bytes([raw[-1] ^ 1]))


def leave_over(machine: Machine, key: str, raw: bytes) -> None:
    """Put a record on a machine's disk as one that is left of a slot which it has given up."""
    store = machine.node.store
    with store._environment.begin(write=True, db=store._rec) as txn:
        txn.put(place_of(key)[1], raw)


def hang(machine: Machine) -> None:
    """Let a machine's disk end no commit any more, and fail none."""
    machine.up.writer.hangs = True
