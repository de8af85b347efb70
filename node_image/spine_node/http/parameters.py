"""The parameters of the API, each stated once: `queries` and `headers` read them, `openapi` shows them.

Source: api.md §2 and §3.1.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from spine_node.http import limits
from spine_node.http.schema import ID_PATTERN, NAMESPACE_PATTERN

_ETAG: Final = r'^("[^"]{1,32}"|\*)$'
_MODELS: Final = ["strong", "causal", "read-your-writes", "eventual"]
_IDS: Final = {"type": "string", "maxLength": 200, "pattern": ID_PATTERN}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as OpenAPI names it."""

    name: str
    place: Literal["path", "query", "header"]
    schema: dict[str, Any]
    json: bool = False  # the value is JSON, URL-encoded

    def document(self) -> dict[str, Any]:
        """Return the parameter object."""
        shape: dict[str, Any] = {"schema": self.schema}
        if self.json:
            shape = {"content": {"application/json": shape}}
        if self.schema.get("type") == "array":
            shape |= {"style": "form", "explode": False}
        if self.place == "path":
            shape |= {"required": True}
        return {"name": self.name, "in": self.place, **shape}


def _list_of(word: str) -> dict[str, Any]:
    return {"type": "array", "items": {"enum": [word]}}


def _token(chars_max: int) -> dict[str, Any]:
    return {"type": "string", "maxLength": chars_max}


NS = Parameter("ns", "path", {"type": "string", "maxLength": 255, "pattern": NAMESPACE_PATTERN})
ID = Parameter("id", "path", _IDS)
KEY = Parameter("key", "path", _IDS)

CONSISTENCY = Parameter("Spine-Consistency", "header", {"enum": _MODELS})
SESSION = Parameter("Spine-Session", "header", _token(limits.HEADER_BYTES_MAX))
TIMEOUT = Parameter(
    "Spine-Timeout-Ms",
    "header",
    {
        "type": "integer",
        "minimum": limits.TIMEOUT_MS_MIN,
        "maximum": limits.TIMEOUT_MS_MAX,
        "default": limits.TIMEOUT_MS,
    },
)
REQUEST_ID = Parameter(
    "Spine-Request-Id",
    "header",
    {"type": "string", "description": "one that is not [A-Za-z0-9._-]{1,64} is replaced"},
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key", "header", {"type": "string", "pattern": "^[!-~]{1,128}$"}
)
IF_MATCH = Parameter("If-Match", "header", {"type": "string", "pattern": _ETAG})
IF_NONE_MATCH = Parameter("If-None-Match", "header", {"type": "string", "pattern": _ETAG})
FENCE = Parameter(
    "Spine-Fence",
    "header",
    {"type": "string", "pattern": "^[A-Za-z0-9._:@~-]{1,200}=[0-9]{1,18}$"},
)
PREFER = Parameter(
    "Prefer",
    "header",
    {"type": "string", "description": "as RFC 7240 has it: what is not known is ignored"},
)

UNGUARD = Parameter("unguard", "query", {"type": "boolean", "default": False})
INCLUDE = Parameter("include", "query", _list_of("embedding"))
INCLUDE_SLOTS = Parameter("include", "query", {"enum": ["slots"]})
FILTER = Parameter("filter", "query", {"type": "object"}, json=True)
SCOPE = Parameter("scope", "query", {"enum": ["exact", "subtree"], "default": "exact"})
ORDER = Parameter(
    "order", "query", {"enum": ["-created_at", "created_at", "id"], "default": "-created_at"}
)
PAGE_SIZE = Parameter(
    "page_size",
    "query",
    {
        "type": "integer",
        "minimum": 1,
        "maximum": limits.PAGE_SIZE_MAX,
        "default": limits.PAGE_SIZE,
    },
)
PAGE_TOKEN = Parameter("page_token", "query", _token(limits.PAGE_TOKEN_CHARS_MAX))
EVENTS = Parameter(
    "events",
    "query",
    {"type": "array", "items": {"enum": ["put", "delete", "lease"]}, "default": ["put", "delete"]},
)
SINCE = Parameter("since", "query", _token(limits.CURSOR_TOKEN_CHARS_MAX) | {"default": "now"})
INCLUDE_MEMORY = Parameter(
    "include", "query", {"type": "array", "items": {"enum": ["memory", "embedding"]}}
)
LAST_EVENT_ID = Parameter("Last-Event-ID", "header", _token(limits.CURSOR_TOKEN_CHARS_MAX))
LIMIT = Parameter(
    "limit",
    "query",
    {
        "type": "integer",
        "minimum": 1,
        "maximum": limits.CHANGES_MAX,
        "default": limits.PAGE_SIZE,
    },
)
WAIT_MS = Parameter(
    "wait_ms",
    "query",
    {"type": "integer", "minimum": 0, "maximum": limits.CHANGES_WAIT_MS_MAX, "default": 0},
)
SLOTS = Parameter("slots", "query", {"enum": ["1"]})
