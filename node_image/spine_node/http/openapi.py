"""The OpenAPI document of this node, made from the routes and the msgspec types that serve them.

Only what is built is listed. The contract, docs/reference/openapi-v1.yaml, is compared in a test.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from spine_core.problems import PROBLEMS
from spine_node.http import views
from spine_node.http.parameters import Parameter
from spine_node.http.router import Route
from spine_node.http.schema import (
    BatchResult,
    ChangePage,
    Lease,
    LeaseInfo,
    LeasePage,
    Memory,
    MemoryPage,
    Problem,
    SessionMerged,
)

_PROBLEM = "Problem"
_SCHEMA = "#/components/schemas/"

_HEADERS: dict[str, dict[str, Any]] = {
    "ETag": {"type": "string"},
    "Location": {"type": "string"},
    "Spine-Session": {"type": "string", "maxLength": 600},
    "Spine-Consistency": {"enum": ["strong", "causal", "read-your-writes", "eventual"]},
    "Spine-Request-Id": {"type": "string"},
    "Spine-Acks": {"type": "string"},
    "Spine-Staleness-Ms": {"type": "integer"},
    "Spine-Index-Lag-Ms": {"type": "integer"},
    "Idempotency-Replayed": {"const": "true"},
    "Retry-After": {"type": "integer"},
}
_WRITTEN = ("ETag", "Spine-Session", "Spine-Consistency", "Spine-Request-Id", "Spine-Acks")
_LISTED = ("Spine-Session", "Spine-Consistency", "Spine-Index-Lag-Ms", "Spine-Request-Id")

# name → (description, header names, media type, type of the body)
_ANSWERS: dict[str, tuple[str, tuple[str, ...], str, Any]] = {
    "Memory": (
        "The memory",
        (*_WRITTEN, "Spine-Staleness-Ms", "Idempotency-Replayed"),
        "application/json",
        Memory,
    ),
    "Created": (
        "Created on the write quorum",
        ("Location", *_WRITTEN, "Idempotency-Replayed"),
        "application/json",
        Memory,
    ),
    "Deleted": (
        "Deleted on the write quorum",
        ("Spine-Session", "Spine-Consistency", "Spine-Request-Id"),
        "",
        None,
    ),
    "NotModified": ("The copy named by If-None-Match is current", (), "", None),
    "MemoryPage": ("One page", _LISTED, "application/json", MemoryPage),
    "BatchResult": (
        "One result per operation, also when some or all failed",
        ("Spine-Session",),
        "application/json",
        BatchResult,
    ),
    "Lease": ("A grant", ("Spine-Session",), "application/json", Lease),
    "LeaseInfo": ("Who has the lease", (), "application/json", LeaseInfo),
    "LeasePage": ("Leases", (), "application/json", LeasePage),
    "Released": ("Released", (), "", None),
    "Events": (
        "Events put, delete, lease, reset, lagging; id is the cursor; data is a ChangeEvent",
        (),
        "text/event-stream",
        str,
    ),
    "ChangePage": ("Events and the next cursor", (), "application/json", ChangePage),
    "SessionMerged": ("One token that covers them all", (), "application/json", SessionMerged),
    "Cluster": ("Read-only view of this node", (), "application/json", views.Cluster),
    "Caller": ("The caller", (), "application/json", views.Caller),
    "Link": ("The connection is a WebSocket that carries requests", (), "", None),
    "Health": ("State of this node", (), "application/json", views.HealthStatus),
    "Metrics": ("Prometheus text format", (), "text/plain", str),
    "Document": ("This document", (), "application/json", dict),
    _PROBLEM: (
        "RFC 9457 problem with a code of the closed list",
        ("Spine-Request-Id", "Retry-After"),
        "application/problem+json",
        Problem,
    ),
}


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the routes that state their answers: public and built."""
    public = [route for route in routes if route.answers]
    types = [route.body for route in public if route.body] + [
        kind for _, _, _, kind in _ANSWERS.values() if kind
    ]
    shown, components = msgspec.json.schema_components(types, ref_template=_SCHEMA + "{name}")
    schema_of = dict(zip(types, shown, strict=True))
    components[_PROBLEM]["properties"]["code"] = {"enum": sorted(PROBLEMS)}
    paths: dict[str, dict[str, Any]] = {}
    for route in public:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Memory Spine data plane",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {name: _answer(name, schema_of) for name in _ANSWERS},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, schema_of: dict[Any, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": [_parameter(known) for known in route.parameters],
        "responses": {
            str(status) if status else "default": {"$ref": f"#/components/responses/{name}"}
            for status, name in route.answers.items()
        },
    }
    if route.scope is not None:
        shown["description"] = f"Scope {route.scope}."
    if route.access == "open":
        shown["security"] = []
    if route.body is not None:
        content = {route.media_type: {"schema": schema_of[route.body]}}
        shown["requestBody"] = {"required": True, "content": content}
    return shown


def _parameter(known: Parameter) -> dict[str, Any]:
    return known.document()


def _answer(name: str, schema_of: dict[Any, Any]) -> dict[str, Any]:
    description, names, media_type, kind = _ANSWERS[name]
    shown: dict[str, Any] = {
        "description": description,
        "headers": {header: {"schema": _HEADERS[header]} for header in names},
    }
    if kind is not None:
        shown["content"] = {media_type: {"schema": schema_of[kind]}}
    return shown
