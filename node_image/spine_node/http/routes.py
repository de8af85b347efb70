"""Every operation of the API and of the admin plane, in one table, built or not.

A name that is reserved and not built yet answers `not-implemented`, after the same checks of
credential, namespace and scope as if it were. Source: api.md §2, operator.md §5.1.
"""

from collections.abc import Mapping

import msgspec

from spine_core.api_keys import Scope
from spine_node.http import (
    admin,
    batch,
    client_link,
    cluster,
    data,
    health,
    leases,
    lists,
    openapi,
    schema,
    watch,
)
from spine_node.http import parameters as known
from spine_node.http.messages import Response
from spine_node.http.render import JSON
from spine_node.http.request_context import RequestContext
from spine_node.http.reserved import RESERVED, not_built
from spine_node.http.router import Handler, Route

DEFAULT = 0  # status: any other, a problem

_MEMORIES = "/v1/ns/{ns}/memories"
_ALWAYS = (known.NS, known.CONSISTENCY, known.SESSION, known.TIMEOUT, known.REQUEST_ID)
_ONE = (known.NS, known.ID, known.CONSISTENCY, known.SESSION, known.TIMEOUT, known.REQUEST_ID)
_CONDITIONAL = (known.IF_MATCH, known.FENCE, known.UNGUARD, known.IDEMPOTENCY_KEY, known.PREFER)


def _answers(good: Mapping[int, str], *problems: int) -> Mapping[int, str]:
    """Return the documented answers: the good ones, named problems, any other problem."""
    return {**good, **dict.fromkeys((*problems, DEFAULT), "Problem")}


def _probe(path: str, name: str, handler: Handler) -> Route:
    return Route(
        method="GET",
        path=path,
        name=name,
        handler=handler,
        access="open",
        tag="cluster",
        answers=_answers({200: "Health", 503: "Health"}),
    )


_DATA = (
    Route(
        method="POST",
        path=_MEMORIES,
        name="createMemory",
        handler=data.create_memory,
        scope=Scope.WRITE,
        writes=True,
        tag="memories",
        summary="Create with an id issued by the server",
        parameters=(*_ALWAYS, known.IDEMPOTENCY_KEY),
        body=schema.MemoryCreate,
        answers=_answers({201: "Created"}, 400, 401, 403, 404, 410, 413, 415, 507),
    ),
    Route(
        method="GET",
        path=_MEMORIES,
        name="listMemories",
        handler=lists.list_memories,
        scope=Scope.READ,
        tag="memories",
        summary="List by filter",
        parameters=(
            *_ALWAYS,
            known.FILTER,
            known.SCOPE,
            known.ORDER,
            known.PAGE_SIZE,
            known.PAGE_TOKEN,
            known.INCLUDE,
        ),
        answers=_answers({200: "MemoryPage"}),
    ),
    Route(
        method="POST",
        path=_MEMORIES + ":query",
        name="queryMemories",
        handler=lists.query_memories,
        scope=Scope.READ,
        tag="memories",
        summary="List by a filter that does not fit a URL",
        parameters=_ALWAYS,
        body=schema.Query,
        answers=_answers({200: "MemoryPage"}, 413, 415),
    ),
    Route(
        method="GET",
        path=_MEMORIES + "/{id}",
        name="getMemory",
        handler=data.get_memory,
        scope=Scope.READ,
        tag="memories",
        summary="Read one memory",
        parameters=(*_ONE, known.INCLUDE, known.IF_NONE_MATCH),
        answers=_answers({200: "Memory", 304: "NotModified"}, 404, 410),
    ),
    Route(
        method="PUT",
        path=_MEMORIES + "/{id}",
        name="putMemory",
        handler=data.put_memory,
        scope=Scope.WRITE,
        writes=True,
        tag="memories",
        summary="Create or replace",
        parameters=(*_ONE, *_CONDITIONAL, known.IF_NONE_MATCH),
        body=schema.MemoryPut,
        answers=_answers({200: "Memory", 201: "Created"}, 409, 412, 428, 507),
    ),
    Route(
        method="PATCH",
        path=_MEMORIES + "/{id}",
        name="patchMemory",
        handler=data.patch_memory,
        scope=Scope.WRITE,
        writes=True,
        tag="memories",
        summary="JSON Merge Patch as one atomic change of the register",
        parameters=(*_ONE, *_CONDITIONAL),
        body=schema.MemoryPatch,
        media_type="application/merge-patch+json",
        answers=_answers({200: "Memory"}, 404, 409, 412, 428, 507),
    ),
    Route(
        method="DELETE",
        path=_MEMORIES + "/{id}",
        name="deleteMemory",
        handler=data.delete_memory,
        scope=Scope.WRITE,
        writes=True,
        tag="memories",
        summary="Delete, whether or not there is a record",
        parameters=(*_ONE, *_CONDITIONAL),
        answers=_answers({204: "Deleted"}, 409, 412, 428),
    ),
    Route(
        method="POST",
        path=_MEMORIES + ":batch",
        name="batchMemories",
        handler=batch.batch_memories,
        writes=True,
        tag="memories",
        summary="Up to 500 operations, results in request order, not a transaction",
        parameters=(
            known.NS,
            known.CONSISTENCY,
            known.SESSION,
            known.TIMEOUT,
            known.IDEMPOTENCY_KEY,
        ),
        body=schema.Batch,
        answers=_answers({200: "BatchResult"}, 413),
    ),
    Route(
        method="POST",
        path=_MEMORIES + ":touch",
        name="touchMemories",
        handler=batch.touch_memories,
        scope=Scope.WRITE,
        writes=True,
        tag="lifecycle",
        summary="Set expires_at to now + ttl_seconds of each, each as a change of its register",
        parameters=(*_ALWAYS, known.IDEMPOTENCY_KEY),
        body=schema.Touch,
        answers=_answers({200: "BatchResult"}, 413, 415),
    ),
)

_LEASES = "/v1/ns/{ns}/leases"
_LEASE_KEY = (known.NS, known.KEY)


def _lease_action(action: str, summary: str, body: type, good: Mapping[int, str]) -> Route:
    return Route(
        method="POST",
        path=f"{_LEASES}/{{key}}:{action}",
        name=f"{action}Lease",
        handler=getattr(leases, f"{action}_lease"),
        scope=Scope.LEASE,
        writes=True,
        tag="leases",
        summary=summary,
        parameters=(
            *_LEASE_KEY,
            known.SESSION,
            known.TIMEOUT,
            known.REQUEST_ID,
            known.IDEMPOTENCY_KEY,
        ),
        body=body,
        answers=_answers(good, 409),
    )


_LEASE_ROUTES = (
    Route(
        method="GET",
        path=_LEASES,
        name="listLeases",
        handler=leases.list_leases,
        scope=Scope.READ,
        tag="leases",
        summary="List leases by key",
        parameters=(*_ALWAYS, known.PAGE_TOKEN),
        answers=_answers({200: "LeasePage"}),
    ),
    Route(
        method="GET",
        path=_LEASES + "/{key}",
        name="getLease",
        handler=leases.get_lease,
        scope=Scope.READ,
        tag="leases",
        summary="Tell who has a lease",
        parameters=(*_LEASE_KEY, known.TIMEOUT, known.REQUEST_ID),
        answers=_answers({200: "LeaseInfo"}, 404),
    ),
    _lease_action(
        "acquire",
        "Take a lease, and stamp its fence on the memories that it guards",
        schema.LeaseAcquire,
        {200: "Lease"},
    ),
    _lease_action("renew", "Let a lease run from now on", schema.LeaseRenew, {200: "Lease"}),
    _lease_action("release", "Give a lease back", schema.LeaseRelease, {204: "Released"}),
)

_FOLLOWED = (known.NS, known.FILTER, known.SCOPE, known.EVENTS, known.SINCE, known.INCLUDE_MEMORY)
_CHANGES = (
    Route(
        method="GET",
        path="/v1/ns/{ns}/watch",
        name="watchMemories",
        handler=watch.watch_memories,
        scope=Scope.READ,
        streams=True,
        tag="changes",
        summary="Server-sent events, at least once, resumable",
        parameters=(*_FOLLOWED, known.LAST_EVENT_ID),
        answers=_answers({200: "Events"}),
    ),
    Route(
        method="GET",
        path="/v1/ns/{ns}/changes",
        name="listChanges",
        handler=watch.list_changes,
        scope=Scope.READ,
        tag="changes",
        summary="The same feed as a JSON long poll",
        parameters=(*_FOLLOWED, known.LIMIT, known.WAIT_MS),
        answers=_answers({200: "ChangePage"}),
    ),
)

_CLUSTER = (
    Route(
        method="POST",
        path="/v1/session:merge",
        name="mergeSessions",
        handler=cluster.merge_sessions,
        tag="cluster",
        summary="One token that covers several",
        body=schema.SessionMerge,
        answers=_answers({200: "SessionMerged"}),
    ),
    Route(
        method="GET",
        path="/v1/cluster",
        name="getCluster",
        handler=cluster.get_cluster,
        scope=Scope.CLUSTER,
        tag="cluster",
        summary="Read-only view of this node",
        parameters=(known.INCLUDE_SLOTS,),
        answers=_answers({200: "Cluster"}),
    ),
    Route(
        method="GET",
        path="/v1/whoami",
        name="whoami",
        handler=cluster.whoami,
        tag="cluster",
        summary="The caller",
        answers=_answers({200: "Caller"}),
    ),
    Route(
        method="GET",
        path="/v1/link",
        name="openLink",
        handler=client_link.open_link,
        tag="cluster",
        summary="Upgrade to a link: many requests in one message",
        answers=_answers({101: "Link"}),
    ),
    _probe("/healthz/live", "live", health.live),
    _probe("/healthz/ready", "ready", health.ready),
    _probe("/healthz/startup", "startup", health.startup),
    Route(
        method="GET",
        path="/metrics",
        name="metrics",
        handler=health.metrics,
        access="open",
        tag="cluster",
        answers=_answers({200: "Metrics"}),
    ),
)


def _admin(
    method: str,
    path: str,
    handler: Handler,
    parameters: tuple[known.Parameter, ...] = (),
    *,
    name: str = "",
) -> Route:
    return Route(
        method=method,
        path=f"/admin/v1/{path}",
        name=f"admin.{name or handler.__name__}",
        handler=handler,
        access="admin",
        writes=method != "GET",
        parameters=parameters,
    )


_ADMIN = (
    _admin("GET", "status", admin.get_status, (known.SLOTS,)),
    _admin("GET", "topology", admin.get_topology),
    _admin("PUT", "topology", admin.put_topology),
    _admin("POST", "drain", admin.start_drain),
    _admin("DELETE", "drain", admin.stop_drain),
    _admin("POST", "resign", admin.resign),
    _admin("PUT", "pace", admin.put_pace),
    _admin("GET", "records/{namespace}/{record}", admin.get_own_record),
)

_JOBS = tuple(
    _admin(method, "jobs/{job}", not_built, name=f"{method.lower()}_job")
    for method in ("PUT", "GET", "DELETE")
)


def routes(version: str) -> tuple[Route, ...]:
    """Return every route of a node; `/openapi.json` shows those of the public API that are built."""
    described: bytes

    async def get_openapi(_call: RequestContext) -> Response:
        return Response(200, {"Content-Type": JSON}, described)

    own = Route(
        method="GET",
        path="/openapi.json",
        name="openapi",
        handler=get_openapi,
        access="open",
        tag="cluster",
        answers=_answers({200: "Document"}),
    )
    built = (*_DATA, *_LEASE_ROUTES, *_CHANGES, *_CLUSTER, own)
    described = msgspec.json.encode(openapi.document(built, version))
    return (*built, *RESERVED, *_ADMIN, *_JOBS)
