"""Probes and metrics: open to everybody, and never in need of a quorum."""

from spine_node.http.messages import Response
from spine_node.http.render import JSON, encode_json
from spine_node.http.request_context import RequestContext

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


async def live(context: RequestContext) -> Response:
    """`GET /healthz/live`: 503 asks for a restart."""
    return _health(None if context.app.operations.live() else "the process cannot work")


async def ready(context: RequestContext) -> Response:
    """`GET /healthz/ready`: 503 keeps clients away; status `full` takes no writes but deletions."""
    operations = context.app.operations
    status = "full" if operations.full() else "ok"
    return _health(operations.ready(), status, context.app.shortage())


async def startup(context: RequestContext) -> Response:
    """`GET /healthz/startup`: 503 until start-up has ended."""
    return _health(None if context.app.operations.started() else "starting")


async def metrics(context: RequestContext) -> Response:
    """`GET /metrics`: the Prometheus text format."""
    return Response(200, {"Content-Type": _PROMETHEUS}, context.app.operations.metrics())


def _health(reason: str | None, status: str = "ok", remark: str | None = None) -> Response:
    """Return the answer of a probe; a remark is for people and changes no status."""
    headers = {"Content-Type": JSON}
    if reason is None:
        remarks = {"reasons": [remark]} if remark else {}
        return Response(200, headers, encode_json({"status": status, **remarks}))
    return Response(503, headers, encode_json({"status": "unavailable", "reasons": [reason]}))
