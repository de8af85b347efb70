"""Probes and metrics: open to everybody, and never in need of a quorum."""

from spine_node.http.call import Call
from spine_node.http.messages import Response
from spine_node.http.render import JSON, encode_json

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


async def live(call: Call) -> Response:
    """`GET /healthz/live`: 503 asks for a restart."""
    return _health(None if call.edge.operations.live() else "the process cannot work")


async def ready(call: Call) -> Response:
    """`GET /healthz/ready`: 503 keeps clients away."""
    return _health(call.edge.operations.ready())


async def startup(call: Call) -> Response:
    """`GET /healthz/startup`: 503 until start-up has ended."""
    return _health(None if call.edge.operations.started() else "starting")


async def metrics(call: Call) -> Response:
    """`GET /metrics`: the Prometheus text format."""
    return Response(200, {"Content-Type": _PROMETHEUS}, call.edge.operations.metrics())


def _health(reason: str | None) -> Response:
    headers = {"Content-Type": JSON}
    if reason is None:
        return Response(200, headers, encode_json({"status": "ok"}))
    return Response(503, headers, encode_json({"status": "unavailable", "reasons": [reason]}))
