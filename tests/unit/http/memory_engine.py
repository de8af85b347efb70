"""The double at the engine's port: one dictionary, one clock that counts, no replicas.

It keeps the promises that the HTTP API can see: versions grow, a keyed create happens once, a page goes on
where the last one ended, a condition holds or the write is refused.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from spine_core import leases
from spine_core.errors import InvalidInputError, ProblemError
from spine_core.records.consistency import SEED
from spine_core.records.encoding import FLAG_TOMBSTONE, Record, is_absent, join_body, split_body
from spine_core.records.filters import matches
from spine_core.records.ids import key_hash, keyed_name, ulid
from spine_core.records.sessions import Session
from spine_core.records.versions import etag_of, hlc_from_ms, hlc_of, make_version, ms_of
from spine_core.scalars import Hlc, Origin
from spine_node.clock import Clock
from spine_node.http.bodies import merge_patch
from spine_node.ports import (
    Changes,
    LeaseOutcome,
    LeaseRequest,
    LeaseState,
    ListItem,
    ListOutcome,
    ListRequest,
    PreconditionFailedError,
    ReadOutcome,
    ReadRequest,
    WatchRequest,
    WriteOutcome,
    WriteRequest,
)
from unit.http.memory_watch import FIRST_CURSOR, MemoryWatch

SLOTS = 4096
START_MS = 1_800_000_000_000


class StillClock(Clock):
    """A wall clock that moves when a test says so."""

    def __init__(self) -> None:
        self.ms = START_MS

    def physical_ms(self) -> int:
        return self.ms


class MemoryEngine:
    """What `spine_node.ports.Engine` promises, in one dictionary."""

    consistency = SEED

    def __init__(self, clock: Clock) -> None:
        self.records: dict[tuple[str, str], Record] = {}
        self.failure: Exception | None = None  # raised by the next calls
        self.gate: asyncio.Event | None = None  # writes wait for it
        self.writing = self.most_writing = 0
        self.slots_answered = SLOTS
        self.leases: dict[tuple[str, str], LeaseState] = {}
        self.asked: list[LeaseRequest] = []
        self.watches_end = False  # at once, for a client that reads to the end
        self.seen: list[WriteRequest | ReadRequest | ListRequest | WatchRequest] = []
        self.watches: list[MemoryWatch] = []  # that were opened
        self.prepared: list[MemoryWatch] = []  # the next ones
        self._clock = clock
        self._hlc = hlc_from_ms(clock.physical_ms())

    async def write(self, request: WriteRequest) -> WriteOutcome:
        self._note(request)
        self.writing += 1
        self.most_writing = max(self.most_writing, self.writing)
        try:
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.writing -= 1
        return self._written(request)

    def _written(self, request: WriteRequest) -> WriteOutcome:
        model = self.consistency.resolve(request.model, request.tags)
        memory_id, key = self._id_of(request), request.idempotency_key
        held = self.records.get((request.namespace, memory_id))
        self._check(request, held)
        replayed = request.memory_id is None and key is not None and held is not None
        record = held if replayed and held else self._put(request, memory_id, held)
        session = (request.session or Session()).wrote(
            key_hash(request.namespace, memory_id), record.version
        )
        return WriteOutcome(
            memory_id=memory_id,
            record=record,
            created=replayed or held is None or is_absent(held, self._clock.physical_ms()),
            replayed=replayed,
            model=model,
            session=session,
            acks=2,
            replicas=3,
        )

    async def read(self, request: ReadRequest) -> ReadOutcome:
        self._note(request)
        return ReadOutcome(
            record=self.records.get((request.namespace, request.memory_id)),
            model=self.consistency.resolve(request.model, ()),
            session=(request.session or Session()).saw(self._hlc),
            staleness_ms=3,
        )

    async def list(self, request: ListRequest) -> ListOutcome:
        self._note(request)
        found = [
            ListItem(namespace=namespace, memory_id=memory_id, record=record)
            for (namespace, memory_id), record in sorted(self.records.items())
            if self._is_in(request, namespace, record)
        ]
        start = _start(request.page_token)
        rest = found[start + request.page_size :]
        return ListOutcome(
            items=tuple(found[start : start + request.page_size]),
            next_page_token=str(start + request.page_size) if rest else None,
            slots=SLOTS,
            answered=self.slots_answered,
            model=self.consistency.resolve(request.model, ()),
            session=request.session or Session(),
            index_lag_ms=0,
        )

    async def acquire_lease(self, request: LeaseRequest) -> LeaseOutcome:
        self.asked.append(request)
        assert request.ttl_ms is not None
        now_ms = self._clock.physical_ms()
        granted = leases.acquire(self._lease(request), request.holder, request.ttl_ms, now_ms)
        if isinstance(granted, leases.Held):
            extra = {"holder": granted.holder}
            raise ProblemError(
                "lease-held", "somebody has it", retry_after_ms=granted.left_ms, extra=extra
            )
        return self._leased(request, granted)

    async def renew_lease(self, request: LeaseRequest) -> LeaseOutcome:
        self.asked.append(request)
        now_ms = self._clock.physical_ms()
        renewed = leases.renew(
            self._lease(request), request.holder, request.fence, request.ttl_ms or 1000, now_ms
        )
        if isinstance(renewed, leases.Lost):
            raise ProblemError("lease-lost", "it has passed on")
        return self._leased(request, renewed)

    async def release_lease(self, request: LeaseRequest) -> LeaseOutcome:
        self.asked.append(request)
        released = leases.release(self._lease(request), request.holder, request.fence)
        if isinstance(released, leases.Lost):
            raise ProblemError("lease-lost", "it has passed on")
        return self._leased(request, released)

    async def lease(self, namespace: str, key: str, deadline: float) -> LeaseState | None:
        assert deadline > 0
        return self.leases.get((namespace, key))

    def is_held(self, lease: LeaseState) -> bool:
        held = leases.Lease(lease.holder, lease.fence, lease.expires_ms)
        return not leases.is_free(held, self._clock.physical_ms())

    def _lease(self, request: LeaseRequest) -> leases.Lease | None:
        state = self.leases.get((request.namespace, request.key))
        if state is None:
            return None
        return leases.Lease(state.holder, state.fence, state.expires_ms)

    def _leased(self, request: LeaseRequest, lease: leases.Lease) -> LeaseOutcome:
        state = LeaseState(key=request.key, ttl_ms=request.ttl_ms or 0, **lease._asdict())
        self.leases[request.namespace, request.key] = state
        return LeaseOutcome(state=state, session=request.session or Session())

    async def watch(self, request: WatchRequest) -> MemoryWatch:
        self._note(request)
        watch = self.prepared.pop(0) if self.prepared else MemoryWatch()
        if self.watches_end:
            watch.waiting.put_nowait(Changes(cursor=FIRST_CURSOR))
            watch.waiting.put_nowait(ProblemError("not-ready", "the node stops"))
        self.watches.append(watch)
        return watch

    def _note(self, request: WriteRequest | ReadRequest | ListRequest | WatchRequest) -> None:
        self.seen.append(request)
        if self.failure is not None:
            raise self.failure

    def _id_of(self, request: WriteRequest) -> str:
        now_ms = self._clock.physical_ms()
        if request.memory_id is not None:
            return request.memory_id
        if request.idempotency_key is None:
            return ulid(now_ms, len(self.seen).to_bytes(10, "big"))
        return keyed_name(request.subject, request.namespace, request.idempotency_key, now_ms)

    def _check(self, request: WriteRequest, held: Record | None) -> None:
        """Refuse what a register would refuse."""
        live = None if held is None or is_absent(held, self._clock.physical_ms()) else held
        if (request.patch is not None or request.touch) and live is None:
            raise ProblemError("not-found", "there is no such memory")
        etag = None if live is None else etag_of(live.version)
        wrong = request.if_match is not None and request.if_match not in (etag, "*" if etag else "")
        if wrong or (request.create_only and live is not None):
            raise PreconditionFailedError(live, outcome="not-applied", detail="it is another one")
        guard = None if held is None else server_fields(held)["guard"]
        if guard is not None and (request.fence is None or request.fence.fence < guard["fence"]):
            code = "fence-required" if request.fence is None else "fence-stale"
            raise ProblemError(code, "a lease guards this record")

    def _put(self, request: WriteRequest, memory_id: str, held: Record | None) -> Record:
        self._hlc = Hlc(self._hlc + 1)
        now_ms = self._clock.physical_ms()
        if held is not None and (request.patch is not None or request.touch):
            kept = split_body(held.body)[1]
            patched = merge_patch(kept, request.patch or b"{}")
            request = msgspec.structs.replace(
                request, memory=patched.memory, ttl_seconds=patched.ttl_seconds
            )
        facts = {"created_at": now_ms, "writer": request.subject, "guard": None}
        if request.fence is not None and not request.unguard:
            facts["guard"] = request.fence._asdict()
        if held is not None:
            facts["created_at"] = server_fields(held)["created_at"]
        record = Record(
            version=make_version(self._hlc, Origin(1)),
            op=0,
            expires_ms=now_ms + request.ttl_seconds * 1000 if request.ttl_seconds else 0,
            flags=FLAG_TOMBSTONE if request.memory is None else 0,
            body=join_body(msgspec.msgpack.encode(facts), request.memory or b""),
        )
        self.records[request.namespace, memory_id] = record
        return record

    def _is_in(self, request: ListRequest, namespace: str, record: Record) -> bool:
        now_ms = self._clock.physical_ms()
        below = request.scope == "subtree" and namespace.startswith(request.namespace + ".")
        if is_absent(record, now_ms) or not (below or namespace == request.namespace):
            return False
        memory = msgspec.json.decode(split_body(record.body)[1])
        memory |= {"updated_at": ms_of(hlc_of(record.version)), **server_fields(record)}
        return matches(request.filter, memory, now_ms)


def server_fields(record: Record) -> dict[str, Any]:
    """Return what the server added to a record."""
    fields: dict[str, Any] = msgspec.msgpack.decode(split_body(record.body)[0])
    return fields


def _start(page_token: str | None) -> int:
    if page_token is None:
        return 0
    if not (page_token.isascii() and page_token.isdigit() and len(page_token) < 6):
        raise ProblemError("invalid-request", "the page token is not valid")
    return int(page_token)


class MemoryOperations:
    """What `spine_node.ports.Operations` promises, of one store that never works."""

    STORE = "9f3c2d1e-0000-4000-8000-000000000001"

    def __init__(self) -> None:
        self.is_live = True
        self.not_ready: str | None = None
        self.is_full = False
        self.has_started = True
        self.document: bytes | None = None
        self.pace = (33_554_432, 4)
        self.draining = False
        self.resigned = False
        self.copies: dict[tuple[str, str], Mapping[str, Any]] = {}

    def live(self) -> bool:
        return self.is_live

    def ready(self) -> str | None:
        return self.not_ready

    def full(self) -> bool:
        return self.is_full

    def started(self) -> bool:
        return self.has_started

    def cluster(self, *, slots: bool) -> dict[str, Any]:
        view: dict[str, Any] = {
            "name": "spine",
            "version": "0.1.0",
            "epoch": 1,
            "phase": "stable",
            "replication": {"factor": 3, "write_quorum": 2, "read_quorum": 1},
            "consistency": {"default": "read-your-writes", "overrides": []},
            "partitioning": {"strategy": "hash", "virtual_nodes": 150, "slots": 4096},
            "nodes": [{"id": "spine-1", "zone": "a", "status": "ok"}],
        }
        return view | ({"slots": [[0]] * 4096} if slots else {})

    def report(self, *, slots: bool) -> dict[str, Any]:
        return {"wire": 1, "seat": "spine-1", **({"slots": {"17": [1, 2]}} if slots else {})}

    def store_id(self) -> str:
        return self.STORE

    def topology(self) -> bytes | None:
        return self.document

    async def adopt(self, document: bytes) -> tuple[int, str]:
        try:
            epoch = msgspec.json.decode(document)["epoch"]
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise InvalidInputError("no topology document", path="document") from error
        if epoch < 1:
            raise ProblemError("stale-epoch", "a newer one is here", extra={"epoch": 1})
        self.document = document
        return epoch, "d1"

    def set_pace(self, *, bytes_per_s: int, slots: int) -> None:
        self.pace = (bytes_per_s, slots)

    async def drain(self, *, on: bool) -> int:
        self.draining = on
        return 0

    async def resign(self) -> None:
        self.resigned = True

    def own_record(self, namespace: str, memory_id: str) -> Mapping[str, Any] | None:
        return self.copies.get((namespace, memory_id))

    def metrics(self) -> bytes:
        return b"spine_epoch 1\n"
