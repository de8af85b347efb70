"""One memory: create, put, get, delete. The batch goes through the same functions.

A handler parses, asks the engine, renders. Source: api.md §2.
"""

import msgspec

from spine_core.errors import ProblemError
from spine_core.records.consistency import Model
from spine_core.records.encoding import FLAG_TOMBSTONE, Record, is_absent
from spine_core.records.sessions import Session
from spine_node.http import audit, headers
from spine_node.http.bodies import decode_create, decode_put, kept_json
from spine_node.http.call import Call
from spine_node.http.limits import BODY_BYTES_MAX
from spine_node.http.messages import Response
from spine_node.http.problems import problem_response
from spine_node.http.queries import flag, includes
from spine_node.http.render import JSON, common_headers, etag_header, memory_json
from spine_node.http.schema import MemoryCreate, MemoryFields
from spine_node.ports import ReadOutcome, ReadRequest, WriteOutcome, WriteRequest

REGISTERS_LATER = (
    "conditional, fenced and strong writes need registers, which this version does not have yet"
)


class Wishes(msgspec.Struct, frozen=True):
    """What the headers ask of an operation."""

    session: Session | None
    model: Model | None
    idempotency_key: str | None = None


async def create_memory(call: Call) -> Response:
    """`POST {m}`: the server issues the id."""
    headers.check_unconditional(call.request.headers)
    memory = decode_create(await json_body(call, BODY_BYTES_MAX))
    return written(call, await write(call, wishes_of(call), None, memory))


async def put_memory(call: Call) -> Response:
    """`PUT {m}/{id}`: create or replace."""
    _refuse_conditions(call)
    body = await json_body(call, BODY_BYTES_MAX)
    memory_id = call.path["id"]
    memory = decode_put(body, call.namespace, memory_id)
    return written(call, await write(call, wishes_of(call), memory_id, memory))


async def delete_memory(call: Call) -> Response:
    """`DELETE {m}/{id}`: 204, record or not."""
    _refuse_conditions(call)
    outcome = await write(call, wishes_of(call), call.path["id"], None)
    return Response(status_of(outcome), _write_headers(call, outcome))


async def get_memory(call: Call) -> Response:
    """`GET {m}/{id}`: the record, or 304 when the caller has this version."""
    embedding = includes(call.query, "embedding")
    known = headers.condition(call.request.headers, "If-None-Match")
    outcome = await read(call, wishes_of(call), call.path["id"])
    seen = _read_headers(call, outcome)
    absence = absence_of(call, outcome)
    if absence is not None:
        problem = problem_response(absence, call.request_id, writes=False)
        return Response(problem.status, seen | problem.headers, problem.body)
    record = live(outcome)
    etag = etag_header(record)
    if known is not None and known in ("*", etag[1:-1]):
        return Response(304, seen | {"ETag": etag})
    body = memory_json(call.namespace, call.path["id"], record, embedding=embedding)
    return Response(200, seen | {"ETag": etag, "Content-Type": JSON}, body)


async def write(
    call: Call, wishes: Wishes, memory_id: str | None, memory: MemoryFields | None
) -> WriteOutcome:
    """Store the memory, or delete it (None), and note it in the audit."""
    request = _write_request(call, wishes, memory_id, memory)
    outcome = await call.edge.engine.write(request)
    audit.note(attempt_of(call, outcome.memory_id), status_of(outcome))
    return outcome


def status_of(outcome: WriteOutcome) -> int:
    """Return the status that tells of a write which was done."""
    if outcome.record.flags & FLAG_TOMBSTONE:
        return 204
    return 201 if outcome.created else 200


async def read(call: Call, wishes: Wishes, memory_id: str) -> ReadOutcome:
    """Ask for one record."""
    request = ReadRequest(
        namespace=call.namespace,
        memory_id=memory_id,
        session=wishes.session,
        deadline=call.deadline,
        model=wishes.model,
    )
    return await call.edge.engine.read(request)


def absence_of(call: Call, outcome: ReadOutcome) -> ProblemError | None:
    """Return why a read shows nothing: `not-found`, or `gone` while the tombstone is known."""
    if outcome.record is None:
        return ProblemError("not-found", "there is no such memory")
    if is_absent(outcome.record, call.edge.clock.physical_ms()):
        return ProblemError("gone", "the memory was deleted or has expired")
    return None


def live(outcome: ReadOutcome) -> Record:
    """Return the record of a read that is not absent."""
    assert outcome.record is not None, "absence_of() was asked first"
    return outcome.record


def wishes_of(call: Call) -> Wishes:
    """Return what the headers of a request ask for."""
    given = call.request.headers
    return Wishes(
        headers.session(given, call.edge.session_keys()),
        headers.wanted_model(given),
        headers.idempotency_key(given),
    )


async def json_body(call: Call, bytes_max: int) -> bytes:
    """Return the body of a request that must be JSON."""
    headers.check_media_type(call.request.headers)
    return await call.request.body(bytes_max, call.deadline)


def attempt_of(call: Call, memory_id: str | None) -> audit.Attempt:
    """Return what the audit says about this call."""
    return audit.Attempt(
        node=call.edge.node,
        request_id=call.request_id,
        remote=call.request.remote,
        action=call.action,
        identity=call.identity,
        namespace=call.path.get("ns"),
        memory_id=memory_id,
    )


def written(call: Call, outcome: WriteOutcome) -> Response:
    """Return the answer to a create or replacement."""
    answer = _write_headers(call, outcome)
    answer["Content-Type"] = JSON
    answer["ETag"] = etag_header(outcome.record)
    if outcome.created:
        answer["Location"] = f"/v1/ns/{call.namespace}/memories/{outcome.memory_id}"
    body = memory_json(call.namespace, outcome.memory_id, outcome.record, embedding=False)
    return Response(status_of(outcome), answer, body)


def _write_headers(call: Call, outcome: WriteOutcome) -> dict[str, str]:
    answer = common_headers(call.edge, outcome.session, outcome.model)
    answer["Spine-Acks"] = f"{outcome.acks}/{outcome.replicas}"
    if outcome.replayed:
        answer["Idempotency-Replayed"] = "true"
    return answer


def _read_headers(call: Call, outcome: ReadOutcome) -> dict[str, str]:
    """Return what the caller has now seen; a read that finds nothing has seen something too."""
    answer = common_headers(call.edge, outcome.session, outcome.model)
    if outcome.staleness_ms is not None:
        answer["Spine-Staleness-Ms"] = str(outcome.staleness_ms)
    if outcome.degraded is not None:
        answer["Spine-Degraded"] = outcome.degraded
    return answer


def _write_request(
    call: Call, wishes: Wishes, memory_id: str | None, memory: MemoryFields | None
) -> WriteRequest:
    """Return the engine's request; without a memory it deletes."""
    fields = memory or MemoryFields()
    partition_by = fields.partition_by if isinstance(fields, MemoryCreate) else msgspec.UNSET
    return WriteRequest(
        namespace=call.namespace,
        memory_id=memory_id,
        memory=None if memory is None else kept_json(memory),
        principal=call.identity.subject,
        session=wishes.session,
        deadline=call.deadline,
        model=wishes.model,
        tags=tuple(fields.tags),
        agent_id=fields.agent_id or None,
        partition_by=partition_by or None,
        ttl_seconds=fields.ttl_seconds or None,
        pinned=fields.pinned,
        idempotency_key=wishes.idempotency_key,
    )


def _refuse_conditions(call: Call) -> None:
    """Refuse, after a look at the syntax, what only registers can do.

    Raises:
        ProblemError: `not-implemented`, or `invalid-request`.
    """
    given = call.request.headers
    asked = (
        headers.condition(given, "If-Match"),
        headers.condition(given, "If-None-Match"),
        headers.fence(given),
        flag(call.query, "unguard") or None,
    )
    if any(wish is not None for wish in asked):
        raise ProblemError("not-implemented", REGISTERS_LATER)
