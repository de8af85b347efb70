"""One memory: create, put, get, delete. The batch goes through the same functions.

A handler parses, asks the engine, renders. Source: api.md §2.
"""

from collections.abc import Awaitable

import msgspec

from spine_core.api_keys import Scope
from spine_core.errors import ProblemError
from spine_core.problems import PROBLEMS
from spine_core.records.consistency import Model
from spine_core.records.encoding import FLAG_TOMBSTONE, Record, is_absent
from spine_core.records.sessions import Session, seal_session
from spine_node.http import audit, headers
from spine_node.http.bodies import decode_create, decode_patch, decode_put, kept_json
from spine_node.http.identity import authorise
from spine_node.http.limits import BODY_BYTES_MAX
from spine_node.http.messages import Response
from spine_node.http.problems import problem_response
from spine_node.http.queries import flag, includes
from spine_node.http.render import JSON, common_headers, etag_header, memory_json
from spine_node.http.request_context import RequestContext
from spine_node.http.schema import Embedding, MemoryCreate, MemoryInput, MemoryPut
from spine_node.ports import (
    Fence,
    PreconditionFailedError,
    ReadOutcome,
    ReadRequest,
    WriteOutcome,
    WriteRequest,
)
from spine_node.server_fields import read_body


class _WithEmbedding(msgspec.Struct):
    embedding: Embedding | None = None


_with_embedding = msgspec.json.Decoder(_WithEmbedding)


class Conditions(msgspec.Struct, frozen=True):
    """What must hold for a write, by headers or in an operation of a batch."""

    if_match: str | None = None  # an ETag without its quotes, or `*`
    create_only: bool = False
    fence: Fence | None = None
    unguard: bool = False


UNCONDITIONAL = Conditions()


class RequestOptions(msgspec.Struct, frozen=True):
    """What the headers ask of an operation."""

    session: Session | None
    model: Model | None
    idempotency_key: str | None = None
    conditions: Conditions = UNCONDITIONAL


async def create_memory(context: RequestContext) -> Response:
    """`POST {m}`: the server issues the id."""
    headers.check_unconditional(context.request.headers)
    memory = decode_create(await json_body(context, BODY_BYTES_MAX))
    return written(context, await write(context, options_of(context), None, memory))


async def put_memory(context: RequestContext) -> Response:
    """`PUT {m}/{id}`: create or replace."""
    options = _conditional_options(context, creates=True)
    body = await json_body(context, BODY_BYTES_MAX)
    memory_id = context.path["id"]
    memory = decode_put(body, context.namespace, memory_id)
    return written(context, await write(context, options, memory_id, memory))


async def patch_memory(context: RequestContext) -> Response:
    """`PATCH {m}/{id}`: a merge patch, one atomic change."""
    options = _conditional_options(context)
    patch = decode_patch(await _patch_body(context))
    outcome = await change(context, options, context.path["id"], patch=patch)
    return written(context, outcome)


async def delete_memory(context: RequestContext) -> Response:
    """`DELETE {m}/{id}`: 204, record or not."""
    options = _conditional_options(context)
    outcome = await write(context, options, context.path["id"], None)
    return Response(status_of(outcome), _write_headers(context, outcome))


async def get_memory(context: RequestContext) -> Response:
    """`GET {m}/{id}`: the record, or 304 when the caller has this version."""
    embedding = includes(context.query, "embedding")
    known = headers.condition(context.request.headers, headers.IF_NONE_MATCH)
    outcome = await read(context, options_of(context), context.path["id"])
    seen = _read_headers(context, outcome)
    absence = absence_of(context, outcome)
    if absence is not None:
        problem = problem_response(absence, context.request_id, writes=False)
        return Response(problem.status, seen | problem.headers, problem.body)
    record = live(outcome)
    seen["ETag"] = etag = etag_header(record)
    if known is not None and known in ("*", etag[1:-1]):
        return Response(304, seen)
    seen["Content-Type"] = JSON
    body = memory_json(context.namespace, context.path["id"], record, embedding=embedding)
    return Response(200, seen, body)


async def write(
    context: RequestContext,
    options: RequestOptions,
    memory_id: str | None,
    memory: MemoryInput | None,
) -> WriteOutcome:
    """Store the memory, or delete it (None), and note it in the audit."""
    if isinstance(memory, MemoryPut) and memory.omitted and memory.embedding is None:
        embedding = await _stored_embedding(context, options, str(memory_id))
        memory = msgspec.structs.replace(memory, embedding=embedding)
    return await _execute(context, _write_request(context, options, memory_id, memory))


async def change(
    context: RequestContext,
    options: RequestOptions,
    memory_id: str,
    *,
    patch: bytes | None = None,
    touch: bool = False,
) -> WriteOutcome:
    """Change what is stored by a merge patch, or give it a new expiry, and note it in the audit."""
    request = _write_request(context, options, memory_id, None)
    return await _execute(context, msgspec.structs.replace(request, patch=patch, touch=touch))


async def _execute(context: RequestContext, request: WriteRequest) -> WriteOutcome:
    try:
        outcome = await context.app.engine.write(request)
    except PreconditionFailedError as error:
        if headers.wants_current(context.request.headers):
            current = error.current
            shown = current and memory_json(
                context.namespace, str(request.memory_id), current, embedding=False
            )
            error.extra = {**error.extra, "current": msgspec.Raw(shown or b"null")}
        raise
    audit.note(attempt_of(context, outcome.memory_id), status_of(outcome))
    return outcome


async def _stored_embedding(
    context: RequestContext, options: RequestOptions, memory_id: str
) -> Embedding | None:
    """Return the embedding that a view left out and its PUT means to keep.

    A quorum is asked: from one replica that is behind, an older embedding or none would be stored
    as if it were the newest. Without a record there is nothing to keep, and the PUT is refused.

    Raises:
        ProblemError: always with outcome `not-applied`.
    """
    strong = RequestOptions(options.session, Model.STRONG)
    try:
        outcome = await read(context, strong, memory_id)
    except ProblemError as error:
        certain = PROBLEMS[error.code].outcome in ("not-applied", "either")
        code = error.code if certain else "quorum-unavailable"  # the rest is about reads only
        raise ProblemError(
            code, error.detail, outcome="not-applied", retry_after_ms=error.retry_after_ms
        ) from error
    absence = absence_of(context, outcome)
    if absence is not None:
        raise absence
    return _with_embedding.decode(read_body(live(outcome).body)[1]).embedding


def status_of(outcome: WriteOutcome) -> int:
    """Return the HTTP status of a write that succeeded."""
    if outcome.record.flags & FLAG_TOMBSTONE:
        return 204
    return 201 if outcome.created else 200


def read(
    context: RequestContext, options: RequestOptions, memory_id: str
) -> Awaitable[ReadOutcome]:
    """Read one record through the engine."""
    request = ReadRequest(
        namespace=context.namespace,
        memory_id=memory_id,
        session=options.session,
        deadline=context.deadline,
        model=options.model,
    )
    return context.app.engine.read(request)


def absence_of(context: RequestContext, outcome: ReadOutcome) -> ProblemError | None:
    """Return the problem of a read without a record: `not-found`, or `gone` while a tombstone is kept."""
    if outcome.record is None:
        return ProblemError("not-found", "there is no such memory")
    if is_absent(outcome.record, context.app.clock.physical_ms()):
        return ProblemError("gone", "the memory was deleted or has expired")
    return None


def live(outcome: ReadOutcome) -> Record:
    """Return the record of a read that is not absent."""
    assert outcome.record is not None, "absence_of() was asked first"
    return outcome.record


def options_of(context: RequestContext) -> RequestOptions:
    """Return what the headers of a request ask for."""
    given = context.request.headers
    return RequestOptions(
        headers.session(given, context.app.session_keys()),
        headers.wanted_model(given),
        headers.idempotency_key(given),
    )


async def json_body(context: RequestContext, bytes_max: int) -> bytes:
    """Return the body of a request that must be JSON."""
    headers.check_media_type(context.request.headers)
    return await context.request.body(bytes_max, context.deadline)


def attempt_of(context: RequestContext, memory_id: str | None) -> audit.Attempt:
    """Return what the audit says about this call."""
    return audit.Attempt(
        log=context.app.audit,
        request_id=context.request_id,
        remote=context.request.remote,
        action=context.action,
        principal=context.principal,
        namespace=context.path.get("ns"),
        memory_id=memory_id,
    )


def written(context: RequestContext, outcome: WriteOutcome) -> Response:
    """Return the answer to a create or replacement."""
    answer = _write_headers(context, outcome)
    answer["Content-Type"] = JSON
    answer["ETag"] = etag_header(outcome.record)
    if outcome.created:
        answer["Location"] = f"/v1/ns/{context.namespace}/memories/{outcome.memory_id}"
    body = memory_json(context.namespace, outcome.memory_id, outcome.record, embedding=False)
    return Response(status_of(outcome), answer, body)


def session_headers(context: RequestContext, session: Session) -> dict[str, str]:
    """Return the header that hands the caller its session."""
    return {"Spine-Session": seal_session(session, context.app.session_keys()[0])}


def _write_headers(context: RequestContext, outcome: WriteOutcome) -> dict[str, str]:
    answer = common_headers(context.app, outcome.session, outcome.model)
    answer["Spine-Acks"] = f"{outcome.acks}/{outcome.replicas}"
    if outcome.replayed:
        answer["Idempotency-Replayed"] = "true"
    return answer


def _read_headers(context: RequestContext, outcome: ReadOutcome) -> dict[str, str]:
    """Return what the caller has now seen; a read that finds nothing has seen something too."""
    answer = common_headers(context.app, outcome.session, outcome.model)
    if outcome.staleness_ms is not None:
        answer["Spine-Staleness-Ms"] = str(outcome.staleness_ms)
    if outcome.degraded is not None:
        answer["Spine-Degraded"] = outcome.degraded
    return answer


def _write_request(
    context: RequestContext,
    options: RequestOptions,
    memory_id: str | None,
    memory: MemoryInput | None,
) -> WriteRequest:
    """Return the engine's request; without a memory it deletes."""
    fields = memory or MemoryInput()
    partition_by = fields.partition_by if isinstance(fields, MemoryCreate) else None
    return WriteRequest(
        namespace=context.namespace,
        memory_id=memory_id,
        memory=None if memory is None else kept_json(memory),
        subject=context.principal.subject,
        session=options.session,
        deadline=context.deadline,
        model=options.model,
        tags=tuple(fields.tags or ()),
        agent_id=fields.agent_id,
        partition_by=partition_by,
        ttl_seconds=fields.ttl_seconds,
        pinned=fields.pinned or False,
        idempotency_key=options.idempotency_key,
        if_match=options.conditions.if_match,
        create_only=options.conditions.create_only,
        fence=options.conditions.fence,
        unguard=options.conditions.unguard,
    )


def _conditional_options(context: RequestContext, *, creates: bool = False) -> RequestOptions:
    """Return what the headers ask for, conditions included.

    Raises:
        ProblemError: `invalid-request`.
    """
    given = context.request.headers
    if not creates and headers.IF_NONE_MATCH in given:
        message = "is for a PUT, which may create"
        detail = f"the header {headers.IF_NONE_MATCH} {message}"
        raise ProblemError("invalid-request", detail, errors=((headers.IF_NONE_MATCH, message),))
    conditions = Conditions(
        headers.condition(given, headers.IF_MATCH),
        headers.create_only(given),
        headers.fence(given),
        flag(context.query, "unguard"),
    )
    check_conditions(context, conditions)
    return msgspec.structs.replace(options_of(context), conditions=conditions)


async def _patch_body(context: RequestContext) -> bytes:
    headers.check_media_type(context.request.headers, "application/merge-patch+json")
    return await context.request.body(BODY_BYTES_MAX, context.deadline)


def check_conditions(context: RequestContext, conditions: Conditions) -> None:
    """Refuse conditions that cannot both hold, and to take a guard away without its lease.

    Raises:
        ProblemError: `invalid-request`, `forbidden`.
    """
    if conditions.if_match is not None and conditions.create_only:
        message = "cannot hold together with If-None-Match"
        raise ProblemError(
            "invalid-request", f"If-Match {message}", errors=((headers.IF_MATCH, message),)
        )
    if conditions.unguard and conditions.fence is None:
        authorise(context.principal, Scope.ADMIN, context.namespace)
