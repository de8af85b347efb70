"""`POST {m}:batch`: up to 500 operations side by side, each with its own result; no transaction.

Invariant: no two operations of a batch touch one id, so their order does not matter.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from spine_core.api_keys import Scope
from spine_core.errors import InvalidInputError, ProblemError
from spine_core.records.encoding import Record
from spine_core.records.ids import check_id
from spine_core.records.sessions import Session, merge
from spine_node.http import audit, data, headers
from spine_node.http.bodies import (
    check_distinct_ids,
    decode,
    decode_create,
    decode_patch,
    decode_put,
)
from spine_node.http.data import Conditions, RequestOptions
from spine_node.http.identity import authorise
from spine_node.http.limits import BATCH_AT_ONCE, BATCH_BYTES_MAX, BODY_BYTES_MAX
from spine_node.http.messages import Response, too_large
from spine_node.http.problems import as_problem, problem_object
from spine_node.http.render import JSON, encode_json, etag_header, memory_json
from spine_node.http.request_context import RequestContext
from spine_node.http.schema import Batch, Operation, Touch, TouchOne, json_of
from spine_node.ports import Fence, WriteOutcome

_batch = msgspec.json.Decoder(Batch)
_touch = msgspec.json.Decoder(Touch)

Step = Operation | TouchOne

Item = dict[str, Any]  # the JSON object of one result


async def batch_memories(context: RequestContext) -> Response:
    """Run the operations, `BATCH_AT_ONCE` at a time; answer in request order."""
    headers.check_unconditional(context.request.headers)
    body = await data.json_body(context, BATCH_BYTES_MAX)
    operations = decode(_batch, body).operations
    _check_distinct(operations)
    return await _Run(context, data.options_of(context), operations).all()


async def touch_memories(context: RequestContext) -> Response:
    """Give each memory a new expiry, by its own time to live; answer in request order."""
    headers.check_unconditional(context.request.headers)
    ids = decode(_touch, await data.json_body(context, BODY_BYTES_MAX)).ids
    check_distinct_ids(ids, "ids")
    return await _Run(
        context, data.options_of(context), [TouchOne(id=memory_id) for memory_id in ids]
    ).all()


def _check_distinct(operations: Sequence[Operation]) -> None:
    seen: set[str] = set()
    for i, operation in enumerate(operations):
        if isinstance(operation.id, str):
            if operation.id in seen:
                message = "another operation has this id"
                raise InvalidInputError(message, path=f"operations[{i}].id")
            seen.add(operation.id)


class _Run:
    """The execution of one batch."""

    def __init__(
        self, context: RequestContext, options: RequestOptions, operations: Sequence[Step]
    ) -> None:
        self._call = context
        self._options = options
        self._operations = operations
        self._results: list[Item] = [{} for _ in operations]
        self._sessions: list[Session] = [options.session or Session()]

    async def all(self) -> Response:
        """Run all operations, `BATCH_AT_ONCE` at a time."""
        waiting = iter(range(len(self._operations)))
        async with asyncio.TaskGroup() as group:
            for _ in range(min(BATCH_AT_ONCE, len(self._operations))):
                group.create_task(self._work(waiting))
        return self._response()

    async def _work(self, waiting: Iterator[int]) -> None:
        for i in waiting:
            self._results[i] = await self._result(i, self._operations[i])

    def _response(self) -> Response:
        """Return the answer; the session has seen all that the operations saw."""
        failed = sum(result["status"] >= 400 for result in self._results)
        answer = data.session_headers(self._call, merge(self._sessions)) | {"Content-Type": JSON}
        return Response(200, answer, encode_json({"results": self._results, "failed": failed}))

    async def _result(self, i: int, operation: Step) -> Item:
        """Return the result of one operation; its failure is a result too."""
        context = self._context_of(operation)
        writes = operation.op != "get"
        try:
            return await self._run(context, self._options_of(i), operation)
        except (ProblemError, InvalidInputError) as error:
            problem = as_problem(error)
        memory_id = operation.id
        if writes or problem.code == "forbidden":
            audit.note(data.attempt_of(context, memory_id), problem.status, problem)
        result: Item = {"status": problem.status}
        if memory_id:
            result["id"] = memory_id
        return result | {"problem": problem_object(problem, context.request_id, writes=writes)}

    async def _run(self, context: RequestContext, options: RequestOptions, operation: Step) -> Item:
        if isinstance(operation, TouchOne):
            outcome = await data.change(context, options, operation.id, touch=True)
            return self._wrote(outcome)
        _check_operation(operation)
        options = _conditional(context, options, operation)
        scope = Scope.READ if operation.op == "get" else Scope.WRITE
        authorise(context.principal, scope, context.namespace)
        body = json_of(operation.body) or b""
        match operation.op:
            case "get":
                return await self._read(context, options, str(operation.id))
            case "delete":
                outcome = await data.write(context, options, str(operation.id), None)
            case "create":
                outcome = await data.write(context, options, None, decode_create(body))
            case "patch":
                patch = decode_patch(body)
                outcome = await data.change(context, options, str(operation.id), patch=patch)
            case _:
                memory = decode_put(body, context.namespace, str(operation.id))
                outcome = await data.write(context, options, str(operation.id), memory)
        return self._wrote(outcome)

    async def _read(self, context: RequestContext, options: RequestOptions, memory_id: str) -> Item:
        outcome = await data.read(context, options, memory_id)
        self._sessions.append(outcome.session)
        absence = data.absence_of(context, outcome)
        if absence is not None:
            raise absence
        return self._item(200, memory_id, data.live(outcome))

    def _wrote(self, outcome: WriteOutcome) -> Item:
        self._sessions.append(outcome.session)
        status = data.status_of(outcome)
        if status == 204:
            return {"status": status, "id": outcome.memory_id}
        return self._item(status, outcome.memory_id, outcome.record)

    def _item(self, status: int, memory_id: str, record: Record) -> Item:
        shown = memory_json(self._call.namespace, memory_id, record, embedding=False)
        etag = etag_header(record)
        return {"status": status, "id": memory_id, "etag": etag, "memory": msgspec.Raw(shown)}

    def _options_of(self, i: int) -> RequestOptions:
        """Return the options of operation *i*: with a key, its own is `KEY/i`."""
        options = self._options
        if options.idempotency_key is None:
            return options
        key = f"{options.idempotency_key}/{i}"
        return msgspec.structs.replace(options, idempotency_key=key)

    def _context_of(self, operation: Step) -> RequestContext:
        """Return the context with an action that names the operation, for the audit."""
        return msgspec.structs.replace(self._call, action=f"{self._call.action}.{operation.op}")


def _check_operation(operation: Operation) -> None:
    """Check that an operation has what its kind needs, and nothing else.

    Raises:
        InvalidInputError, ProblemError: it does not.
    """
    kind = operation.op
    for name in ("if_match", "if_none_match", "fence"):
        if kind in ("get", "create") and getattr(operation, name) is not None:
            raise InvalidInputError(f"{kind} takes no {name}", path=name)
    if operation.if_none_match is not None and kind != "put":
        raise InvalidInputError(f"{kind} takes no if_none_match", path="if_none_match")
    _check_presence(operation.id, "id", kind, wanted=kind != "create")
    body = json_of(operation.body)
    _check_presence(body, "body", kind, wanted=kind in ("put", "create", "patch"))
    if operation.id is not None:
        check_id(operation.id)
    if body is not None and len(body) > BODY_BYTES_MAX:
        raise too_large(BODY_BYTES_MAX)


def _conditional(
    context: RequestContext, options: RequestOptions, operation: Operation
) -> RequestOptions:
    """Return the options with the conditions of one operation."""
    fence = operation.fence
    conditions = Conditions(
        _etag_in(operation.if_match),
        operation.if_none_match is not None,
        None if fence is None else Fence(fence.lease, fence.fence),
    )
    data.check_conditions(context, conditions)
    return msgspec.structs.replace(options, conditions=conditions)


def _etag_in(condition: str | None) -> str | None:
    if condition is None or condition == "*":
        return condition
    if not headers.is_etag(condition):
        raise InvalidInputError('must be an ETag with its quotes, or "*"', path="if_match")
    return condition[1:-1]


def _check_presence(given: object, name: str, kind: str, *, wanted: bool) -> None:
    if (given is not None) != wanted:
        raise InvalidInputError(f"{kind} {'needs' if wanted else 'takes no'} {name}", path=name)
