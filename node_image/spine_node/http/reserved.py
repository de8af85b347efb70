"""Names that are promised and not built: they answer `not-implemented` after the usual checks."""

from spine_core.api_keys import Scope
from spine_core.errors import ProblemError
from spine_node.http.messages import Response
from spine_node.http.request_context import RequestContext
from spine_node.http.router import Route

_MEMORIES = "/v1/ns/{ns}/memories"


async def not_built(context: RequestContext) -> Response:
    """Say that the operation comes later."""
    raise ProblemError("not-implemented", f"{context.action} is not built in this version")


# (method, path, operation id, scope that it will need)
_RESERVED: tuple[tuple[str, str, str, Scope | None], ...] = (
    ("POST", _MEMORIES + ":search", "searchMemories", Scope.READ),
    ("POST", _MEMORIES + ":forget", "forgetMemories", Scope.WRITE),
    ("POST", _MEMORIES + ":prune", "pruneMemories", Scope.ERASE),
    ("POST", _MEMORIES + ":consolidate", "consolidateMemories", Scope.ERASE),
    ("GET", _MEMORIES + ":export", "exportMemories", Scope.READ),
    ("POST", _MEMORIES + ":import", "importMemories", Scope.ADMIN),
    ("GET", "/v1/ns", "listNamespaces", Scope.READ),
    ("GET", "/v1/ns/{ns}", "getPolicy", Scope.READ),
    ("PUT", "/v1/ns/{ns}", "putPolicy", Scope.ADMIN),
    ("DELETE", "/v1/ns/{ns}", "eraseNamespace", Scope.ADMIN),
    ("GET", "/v1/jobs", "listJobs", None),
    ("GET", "/v1/jobs/{id}", "getJob", None),
    ("DELETE", "/v1/jobs/{id}", "cancelJob", None),
    ("GET", "/docs", "docs", None),
    ("GET", "/", "console", None),
)


def _reserved(method: str, path: str, name: str, scope: Scope | None) -> Route:
    return Route(
        method=method,
        path=path,
        name=name,
        handler=not_built,
        access="key" if path.startswith("/v1/") else "open",
        scope=scope,
        reserved=True,
        writes=method != "GET" and scope is not Scope.READ,
    )


RESERVED = tuple(_reserved(*row) for row in _RESERVED)
