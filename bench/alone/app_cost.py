"""CPU of all that HTTP does around the engine: admission, decoding, rendering, session, audit, metrics.

The engine behind it answers at once, always the same. The parser and the socket are not in it.
"""

import io
import time
from statistics import median
from typing import cast

from multidict import CIMultiDict

from bench.memory import NAMESPACE, memory_id, memory_json
from spine_core.records.consistency import Model
from spine_core.records.encoding import Record, join_body
from spine_core.records.ids import key_hash
from spine_core.records.sessions import Session
from spine_core.records.versions import hlc_of, make_version
from spine_core.scalars import Hlc, Origin
from spine_node.clock import Clock
from spine_node.http.app import App
from spine_node.http.audit import AuditLog
from spine_node.http.auth import Credentials
from spine_node.http.messages import Request, whole
from spine_node.http.request_context import AppContext
from spine_node.http.router import Router
from spine_node.http.routes import routes
from spine_node.logs import LineHandler
from spine_node.metrics import Metrics
from spine_node.ports import (
    Engine,
    ListOutcome,
    ListRequest,
    Operations,
    ReadOutcome,
    ReadRequest,
    WriteOutcome,
    WriteRequest,
)
from spine_node.server_fields import ServerFields, pack_server_fields

LOOPS, REPEATS = 2000, 5
NOW_MS = 1_700_000_000_000
IDENTITY = memory_id("app", 1)
PATH = f"/v1/ns/{NAMESPACE}/memories/{IDENTITY}"


async def app_costs_us() -> dict[str, float]:
    """Return method → µs of CPU around the engine: of a PUT, and of an eventual GET."""
    body = memory_json(IDENTITY).encode()
    requests = {
        "PUT": Request(
            method="PUT",
            path=PATH,
            headers=CIMultiDict({"Host": "localhost", "Content-Type": "application/json"}),
            body=whole(body),
        ),
        "GET": Request(
            method="GET",
            path=PATH,
            headers=CIMultiDict({"Host": "localhost", "Spine-Consistency": "eventual"}),
            body=whole(b""),
        ),
    }
    app = _app()
    return {method: await _cost_us(app, request) for method, request in requests.items()}


async def _cost_us(app: App, request: Request) -> float:
    costs = []
    for _ in range(REPEATS):
        began = time.process_time()
        for _ in range(LOOPS):
            response = await app.handle(request)
        costs.append((time.process_time() - began) / LOOPS * 1e6)
        assert response.status == 200, response.body
    return median(costs)


def _app() -> App:
    metrics, clock = Metrics(), Clock()
    log = LineHandler(io.StringIO())
    context = AppContext(
        engine=cast(Engine, _Engine()),
        operations=cast(Operations, None),
        credentials=Credentials(None, on_refusal=metrics.credentials_errors.inc),
        admin_tokens=tuple,
        session_keys=lambda: (b"k" * 32,),
        clock=clock,
        epoch=lambda: 1,
        measure=metrics.answered,
        node="spine-1",
        audit=AuditLog("spine-1", log.queue, clock.physical_ms),
        shortage=lambda: None,
    )
    return App(context, Router(routes("0")))


class _Engine:
    """An engine that has one memory, and takes every write for that one."""

    def __init__(self) -> None:
        server = pack_server_fields(ServerFields(created_at=NOW_MS, writer="anonymous"))
        version = make_version(Hlc(NOW_MS << 20), Origin(1))
        body = join_body(server, memory_json(IDENTITY).encode())
        record = Record(version=version, op=1, body=body)
        session = Session()
        self._written = WriteOutcome(
            memory_id=IDENTITY,
            record=record,
            created=False,
            replayed=False,
            model=Model.READ_YOUR_WRITES,
            session=session.wrote(key_hash(NAMESPACE, IDENTITY), version),
            acks=2,
            replicas=3,
        )
        seen = session.saw(hlc_of(version))
        self._read = ReadOutcome(
            record=record, model=Model.EVENTUAL, session=seen, staleness_ms=1500
        )

    async def write(self, _request: WriteRequest) -> WriteOutcome:
        return self._written

    async def read(self, _request: ReadRequest) -> ReadOutcome:
        return self._read

    async def list(self, _request: ListRequest) -> ListOutcome:
        raise NotImplementedError
