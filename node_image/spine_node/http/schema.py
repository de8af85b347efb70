"""The JSON of the public API as types: decoding, validation and the OpenAPI document come from here.

What a type cannot say (bytes, depth, characters, uniqueness) is checked in `bodies`; it stands here
all the same, as a pattern or a description, because clients read the document.
Source: api.md §1.2 and §2; docs/reference/openapi-v1.yaml.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from spine_core.records.tokens import SESSION_CHARS_MAX
from spine_node.http import limits
from spine_node.ports import ListOrder, ListScope

NAMESPACE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}(\.[A-Za-z0-9][A-Za-z0-9_-]{0,63}){0,7}$"
ID_PATTERN = r"^(?!\.{1,2}$)([A-Za-z0-9._:@-]+~)?[A-Za-z0-9._:@-]+$"
TAG_PATTERN = r"^[^\s\x00-\x1f\x7f]+$"
NAME_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"

DEFAULT_IMPORTANCE = 0.5


def _text(chars_max: int, pattern: str, *, chars_min: int | None = 1) -> Meta:
    """Return the description of a short text; `bodies` applies the pattern to the very end."""
    extra = {"pattern": pattern}
    return Meta(min_length=chars_min, max_length=chars_max, extra_json_schema=extra)


MemoryId = Annotated[str, _text(200, ID_PATTERN, chars_min=None)]
Namespace = Annotated[str, _text(255, NAMESPACE_PATTERN, chars_min=None)]
Tag = Annotated[str, _text(limits.TAG_CHARS_MAX, TAG_PATTERN)]
Name = Annotated[str, _text(limits.NAME_CHARS_MAX, NAME_PATTERN)]
Model = Literal["strong", "causal", "read-your-writes", "eventual"]

Content = Annotated[
    str, Meta(max_length=limits.CONTENT_BYTES_MAX, description="at most 65536 bytes of UTF-8")
]
Metadata = Annotated[dict[str, Any], Meta(description="at most 65536 bytes, depth 16")]
Tags = Annotated[
    list[Tag], Meta(max_length=limits.TAGS_MAX, extra_json_schema={"uniqueItems": True})
]
Importance = Annotated[float, Meta(ge=0, le=1)]
TtlSeconds = Annotated[int, Meta(ge=1, le=limits.TTL_SECONDS_MAX)]
Vector = Annotated[list[float], Meta(min_length=1, max_length=limits.VECTOR_MAX)]
Sources = Annotated[list[MemoryId], Meta(max_length=limits.SOURCES_MAX)]
ObjectLater = Annotated[Raw, Meta(extra_json_schema={"type": ["object", "null"]})] | UnsetType
Omitted = Literal["embedding"]
Ignored = Meta(description="ignored, so that what GET gave can be PUT back")
LeftOut = Meta(description="the record has these fields, and this view leaves them out")
Keeps = Meta(
    description="the stored values of these fields are kept, unless the body gives new ones"
)


def json_of(value: Raw | UnsetType) -> bytes | None:
    """Return JSON that is decoded later, None without one: null is the same as absent."""
    text = b"null" if value is UNSET else bytes(value)
    return None if text == b"null" else text


class Embedding(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A vector of the caller, and the model that made it."""

    model: Annotated[str, Meta(max_length=128)] | None = None
    vector: Vector


class Guard(Struct, kw_only=True):
    """The lease that protects a record, and the highest fence that touched it."""

    lease: str
    fence: Annotated[int, Meta(ge=1)]


class MemoryFields(Struct, kw_only=True):
    """What a client said about a memory, in the order in which it is kept.

    `metadata` stands early and `embedding` last: `render` finds the embedding by that.
    """

    content: Content = ""
    metadata: Metadata = {}
    tags: Tags = []
    agent_id: Name | UnsetType = UNSET
    user_id: Name | UnsetType = UNSET
    thread_id: Name | UnsetType = UNSET
    importance: Importance = DEFAULT_IMPORTANCE
    pinned: bool = False
    ttl_seconds: TtlSeconds | UnsetType = UNSET
    derived_from: Sources = []
    embedding: Embedding | UnsetType = UNSET


class MemoryInput(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of a memory in a request; null is the same as absent, as many JSON writers mean it."""

    content: Content | None = None
    metadata: Metadata | None = None
    tags: Tags | None = None
    agent_id: Name | None = None
    user_id: Name | None = None
    thread_id: Name | None = None
    importance: Importance | None = None
    pinned: bool | None = None
    ttl_seconds: TtlSeconds | None = None
    derived_from: Sources | None = None
    embedding: Embedding | None = None


class MemoryCreate(MemoryInput, forbid_unknown_fields=True, kw_only=True):
    """Content or a non-empty metadata must be present."""

    partition_by: Name | None = None


class MemoryPut(MemoryInput, forbid_unknown_fields=True, kw_only=True):
    """Content or a non-empty metadata must be present; id and namespace agree with the path."""

    id: MemoryId | None = None
    namespace: Namespace | None = None
    omitted: Annotated[list[Omitted], Keeps] | None = None
    version: Annotated[str, Ignored] | None = None
    created_at: Annotated[str, Ignored] | None = None
    updated_at: Annotated[str, Ignored] | None = None
    expires_at: Annotated[str, Ignored] | None = None
    writer: Annotated[str, Ignored] | None = None
    guard: Annotated[dict[str, Any], Ignored] | None = None


class Memory(MemoryFields, kw_only=True):
    """A memory as it is answered."""

    id: MemoryId
    namespace: Namespace
    content: Content
    metadata: Metadata
    tags: Tags
    importance: Importance
    pinned: bool
    version: Annotated[str, Meta(max_length=32, description="the ETag without quotes")]
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | UnsetType | None = UNSET
    writer: str | UnsetType = UNSET
    guard: Guard | UnsetType | None = UNSET
    omitted: Annotated[list[Omitted], LeftOut] | UnsetType = UNSET


class PageCoverage(Struct, kw_only=True):
    """How much of the key space answered."""

    slots: int
    answered: int


class MemoryPage(Struct, kw_only=True):
    """A page; a short or empty one with a token is legal."""

    items: list[Memory]
    next_page_token: str | UnsetType | None = UNSET
    coverage: PageCoverage


class Operation(Struct, forbid_unknown_fields=True, kw_only=True):
    """One operation of a batch."""

    op: Literal["put", "create", "patch", "delete", "get"]
    id: MemoryId | None = None
    body: ObjectLater = UNSET
    if_match: Annotated[str, Meta(max_length=34)] | None = None
    if_none_match: Literal["*"] | None = None
    fence: Guard | None = None


class Batch(Struct, forbid_unknown_fields=True, kw_only=True):
    """Operations on different ids, in no order among themselves; not a transaction."""

    operations: Annotated[
        list[Operation], Meta(min_length=1, max_length=limits.BATCH_OPERATIONS_MAX)
    ]


class Touch(Struct, forbid_unknown_fields=True, kw_only=True):
    """The memories whose expiry is to begin anew."""

    ids: Annotated[list[MemoryId], Meta(min_length=1, max_length=limits.BATCH_OPERATIONS_MAX)]


class TouchOne(Struct, kw_only=True):
    """One memory whose expiry is to begin anew, as an operation of a batch."""

    id: MemoryId
    op: Literal["touch"] = "touch"


class MemoryPatch(MemoryInput, forbid_unknown_fields=True, kw_only=True):
    """A merge patch (RFC 7396): null removes a field, a list is replaced."""


Holder = Annotated[str, _text(128, NAME_PATTERN)]
FenceNumber = Annotated[int, Meta(ge=1)]
LeaseMs = Annotated[int, Meta(ge=1000, le=600_000)]


class LeaseAcquire(Struct, forbid_unknown_fields=True, kw_only=True):
    """Who wants a lease, for how long, and which memories it is to guard."""

    holder: Holder
    ttl_ms: LeaseMs
    wait_ms: Annotated[int, Meta(ge=0, le=30_000)] = 0
    guards: Annotated[list[MemoryId], Meta(max_length=32)] = []


class LeaseRenew(Struct, forbid_unknown_fields=True, kw_only=True):
    """Whose lease, and for how long from now; without a time for as long as before."""

    holder: Holder
    fence: FenceNumber
    ttl_ms: LeaseMs | UnsetType = UNSET


class LeaseRelease(Struct, forbid_unknown_fields=True, kw_only=True):
    """Whose lease."""

    holder: Holder
    fence: FenceNumber


class Lease(Struct, kw_only=True):
    """A grant; it ends for its holder at the time of the request + ttl_ms, less a margin."""

    key: str
    holder: str
    fence: FenceNumber
    ttl_ms: int
    expires_at: datetime


class LeaseInfo(Struct, kw_only=True):
    """Who has a lease."""

    key: str
    held: bool
    holder: str | UnsetType | None = UNSET
    fence: int
    expires_at: datetime | UnsetType | None = UNSET


class LeasePage(Struct, kw_only=True):
    """Leases by key."""

    items: list[LeaseInfo]
    next_page_token: str | UnsetType | None = UNSET


class Query(Struct, forbid_unknown_fields=True, kw_only=True):
    """The parameters of a list as a body, for filters that do not fit a URL."""

    filter: ObjectLater = UNSET
    scope: ListScope | None = None
    order: ListOrder | None = None
    page_size: Annotated[int, Meta(ge=1, le=limits.PAGE_SIZE_MAX)] | None = None
    page_token: (
        Annotated[str, Meta(min_length=1, max_length=limits.PAGE_TOKEN_CHARS_MAX)] | None
    ) = None
    include: list[Omitted] | None = None


class FieldError(Struct, kw_only=True):
    """What is wrong with one field."""

    path: str
    message: str


class Problem(Struct, kw_only=True):
    """An RFC 9457 problem with a code of the closed list."""

    type: Annotated[str, Meta(extra_json_schema={"format": "uri-reference"})]
    title: str
    status: int
    detail: str | UnsetType = UNSET
    instance: str | UnsetType = UNSET
    code: str  # the document lists them, from spine_core.problems
    retryable: bool
    outcome: (
        Annotated[
            Literal["not-applied", "indeterminate"], Meta(description="on every failed write")
        ]
        | UnsetType
    ) = UNSET
    request_id: str
    retry_after_ms: int | UnsetType = UNSET
    errors: list[FieldError] | UnsetType = UNSET
    doubt: (
        Annotated[
            Literal["earlier-request"],
            Meta(
                description="only a request before this one, of the same key, may have been applied"
            ),
        ]
        | UnsetType
    ) = UNSET
    current: Memory | UnsetType | None = UNSET
    current_version: str | UnsetType | None = UNSET
    holder: str | UnsetType | None = UNSET
    home: str | UnsetType = UNSET
    acks: int | UnsetType = UNSET
    required: int | UnsetType = UNSET
    epoch: int | UnsetType = UNSET


class ItemResult(Struct, kw_only=True):
    """What became of one operation of a batch."""

    status: int
    id: MemoryId | UnsetType = UNSET
    etag: str | UnsetType = UNSET
    memory: Memory | UnsetType = UNSET
    problem: Problem | UnsetType = UNSET


class BatchResult(Struct, kw_only=True):
    """One result per operation, in request order."""

    results: list[ItemResult]
    failed: int


class ChangeEvent(Struct, kw_only=True):
    """One change, or news about the watch itself: `reset`, `lagging`."""

    type: Literal["put", "delete", "lease", "reset", "lagging"]
    namespace: Namespace
    id: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    reason: Literal["deleted", "erased", "pruned", "cursor-expired"] | UnsetType = UNSET
    memory: Memory | UnsetType = UNSET
    lease: LeaseInfo | UnsetType = UNSET


class ChangePage(Struct, kw_only=True):
    """Events and the next cursor."""

    events: list[ChangeEvent]
    cursor: str
    reset: Annotated[bool, Meta(description="the cursor was too old; list again")]


class SessionMerge(Struct, forbid_unknown_fields=True, kw_only=True):
    """Tokens to be merged."""

    tokens: Annotated[
        list[Annotated[str, Meta(max_length=SESSION_CHARS_MAX)]],
        Meta(min_length=1, max_length=limits.SESSION_TOKENS_MAX),
    ]


class SessionMerged(Struct, kw_only=True):
    """One token that covers them all."""

    token: str
