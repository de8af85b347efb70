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
from spine_core.records.sessions import Session, merge, seal_session
from spine_node.http import audit, data, headers
from spine_node.http.bodies import decode, decode_create, decode_put
from spine_node.http.data import REGISTERS_LATER, RequestOptions
from spine_node.http.identity import authorise
from spine_node.http.limits import BATCH_AT_ONCE, BATCH_BYTES_MAX, BODY_BYTES_MAX
from spine_node.http.messages import Response, too_large
from spine_node.http.problems import as_problem, problem_object
from spine_node.http.render import JSON, encode_json, etag_header, memory_json
from spine_node.http.request_context import RequestContext
from spine_node.http.schema import Batch, Operation, json_of
from spine_node.ports import WriteOutcome

_batch = msgspec.json.Decoder(Batch)

Item = dict[str, Any]  # the JSON object of one result


async def batch_memories(context: RequestContext) -> Response:
    """Run the operations, `BATCH_AT_ONCE` at a time; answer in request order."""
    headers.check_unconditional(context.request.headers)
    body = await data.json_body(context, BATCH_BYTES_MAX)
    operations = decode(_batch, body).operations
    _check_distinct(operations)
    run = _Run(context, data.options_of(context), operations)
    waiting = iter(range(len(operations)))
    async with asyncio.TaskGroup() as group:
        for _ in range(min(BATCH_AT_ONCE, len(operations))):
            group.create_task(run.work(waiting))
    return run.response()


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
        self, context: RequestContext, options: RequestOptions, operations: Sequence[Operation]
    ) -> None:
        self._call = context
        self._options = options
        self._operations = operations
        self._results: list[Item] = [{} for _ in operations]
        self._sessions: list[Session] = [options.session or Session()]

    async def work(self, waiting: Iterator[int]) -> None:
        """Take operations until none is left."""
        for i in waiting:
            self._results[i] = await self._result(i, self._operations[i])

    def response(self) -> Response:
        """Return the answer; the session has seen all that the operations saw."""
        failed = sum(result["status"] >= 400 for result in self._results)
        token = seal_session(merge(self._sessions), self._call.app.session_keys()[0])
        answer = {"Content-Type": JSON, "Spine-Session": token}
        return Response(200, answer, encode_json({"results": self._results, "failed": failed}))

    async def _result(self, i: int, operation: Operation) -> Item:
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

    async def _run(
        self, context: RequestContext, options: RequestOptions, operation: Operation
    ) -> Item:
        _check_operation(operation)
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
        return RequestOptions(options.session, options.model, f"{options.idempotency_key}/{i}")

    def _context_of(self, operation: Operation) -> RequestContext:
        """Return the context with an action that names the operation, for the audit."""
        return msgspec.structs.replace(self._call, action=f"{self._call.action}.{operation.op}")


def _check_operation(operation: Operation) -> None:
    """Check that an operation has what its kind needs, and nothing else.

    Raises:
        InvalidInputError, ProblemError: it does not, or needs registers.
    """
    kind = operation.op
    conditions = (operation.if_match, operation.if_none_match, operation.fence)
    if kind == "patch" or any(condition is not None for condition in conditions):
        raise ProblemError("not-implemented", REGISTERS_LATER)
    _check_presence(operation.id, "id", kind, wanted=kind != "create")
    body = json_of(operation.body)
    _check_presence(body, "body", kind, wanted=kind in ("put", "create"))
    if operation.id is not None:
        check_id(operation.id)
    if body is not None and len(body) > BODY_BYTES_MAX:
        raise too_large(BODY_BYTES_MAX)


def _check_presence(given: object, name: str, kind: str, *, wanted: bool) -> None:
    if (given is not None) != wanted:
        raise InvalidInputError(f"{kind} {'needs' if wanted else 'takes no'} {name}", path=name)
