"""What the server answers, as frozen structs. Fields that this version does not know are ignored."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from memory_spine.errors import SpineError, error_of

Decoded = TypeVar("Decoded")


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """A vector that the caller computed; it comes back with `include=["embedding"]` only."""

    vector: tuple[float, ...]
    model: str | None = None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """One memory as the server holds it. Times are in UTC."""

    id: str
    namespace: str
    version: str  # opaque; later ones of one memory sort higher
    created_at: datetime
    updated_at: datetime
    content: str = ""
    metadata: Mapping[str, Any] = msgspec.field(default_factory=dict)
    tags: tuple[str, ...] = ()  # the first is the primary tag
    agent_id: str | None = None
    user_id: str | None = None
    thread_id: str | None = None
    importance: float = 0.5  # 0..1
    pinned: bool = False
    ttl_seconds: int | None = None
    expires_at: datetime | None = None
    writer: str | None = None  # subject of the credential that wrote it
    derived_from: tuple[str, ...] = ()
    embedding: Embedding | None = None
    omitted: tuple[str, ...] = ()  # stored fields that this view leaves out; `put` keeps them
    guard: Mapping[str, Any] | None = None  # the lease that guards it

    @property
    def etag(self) -> str:
        """The version as an HTTP entity tag."""
        return f'"{self.version}"'

    def replace(self, **changes: Any) -> "Memory":
        """Return a copy with these fields changed; `put` stores it. `ttl` means `ttl_seconds`.

        A field that was left out and is given here is no longer kept: `embedding=None` drops it.
        """
        if "ttl" in changes:
            changes["ttl_seconds"] = changes.pop("ttl")
        kept = tuple(name for name in self.omitted if name not in changes)
        return msgspec.structs.replace(self, **{"omitted": kept, **changes})

    def server_fields(self) -> dict[str, Any]:
        """Return what is not the caller's, as JSON: what the server decides, and what it left out."""
        return {name: value for name, value in self.to_dict().items() if name in _SERVER_FIELDS}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the HTTP API, fields without a value left out."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {
            name: without_none(value) if name == "embedding" else value
            for name, value in plain.items()
            if value is not None and (value or name != "omitted")
        }


_SERVER_FIELDS = frozenset(
    {
        *("id", "namespace", "version", "created_at", "updated_at", "expires_at", "writer"),
        *("guard", "omitted"),
    }
)


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what has no value."""
    return {name: value for name, value in fields.items() if value is not None}


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the key space a list covers: all of it when the two are equal."""

    slots: int
    answered: int


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list. A short or empty page with a token is not the last."""

    items: tuple[Memory, ...]
    coverage: Coverage
    next_page_token: str | None = None


class ItemResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one operation of a batch."""

    status: int  # 0 when there was no answer
    id: str | None = None
    etag: str | None = None
    memory: Memory | None = None
    problem: Mapping[str, Any] | None = None
    failure: Any = None  # the SpineError of its whole request, which the server never sends

    @property
    def error(self) -> SpineError | None:
        """The failure as an exception to raise or look at; None for a success."""
        if isinstance(self.failure, SpineError):
            return self.failure
        return None if self.problem is None else error_of(self.problem, self.status)


class BatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """Results in the order of the operations. A batch is no transaction."""

    results: tuple[ItemResult, ...]
    failed: int


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who the server takes the caller for."""

    subject: str
    auth: str  # api-key, oidc or none
    scopes: tuple[str, ...]
    namespaces: tuple[str, ...]
    key_id: str | None = None
    not_after: datetime | None = None


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One node as the node that answers sees it."""

    id: str
    zone: str
    status: str  # starting ok suspect down draining full skewed isolated
    slots: int | None = None
    records: int | None = None
    disk_used_ratio: float | None = None
    read_p99_ms: float | None = None
    replication_lag_seconds: float | None = None


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster as one node sees it."""

    name: str
    version: str
    epoch: int
    phase: str  # prepare, switch or stable
    replication: Mapping[str, Any]  # factor, write_quorum, read_quorum
    consistency: Mapping[str, Any]  # default, overrides
    partitioning: Mapping[str, Any]  # strategy, virtual_nodes, slots
    nodes: tuple[Node, ...]
    limits: Mapping[str, int]
    slots: tuple[tuple[int, ...], ...] | None = None  # slot → indexes into nodes; when asked for


class LeaseGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What an acquisition or a renewal answers."""

    key: str
    holder: str
    fence: int  # of this grant; a later one has a higher number
    ttl_ms: int
    expires_at: datetime  # by the server's clock; the holder counts on its own


class LeaseInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A lease as anybody may see it."""

    key: str
    held: bool
    fence: int  # of the newest grant
    holder: str | None = None
    expires_at: datetime | None = None


class LeasePage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the leases of a namespace."""

    items: tuple[LeaseInfo, ...]
    next_page_token: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `since=event.cursor` goes on after it."""

    type: str = (
        ""  # put, delete, lease; reset: list again; lagging: events came faster than they went
    )
    namespace: str = ""
    id: str | None = None
    version: str | None = None
    reason: str | None = None  # deleted, erased or pruned; of a reset, why
    memory: Memory | None = None  # as it is after a put
    lease: LeaseInfo | None = None
    cursor: str | None = None  # of a watch; a page has one for all its events


class ChangePage(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since a cursor."""

    events: tuple[Event, ...]
    cursor: str  # to ask with next
    reset: bool  # the cursor was too old: list again


class MergedToken(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of session:merge."""

    token: str


_decoders: dict[type, msgspec.json.Decoder[Any]] = {}  # to make one costs more than it takes to use


def decode(body: bytes, model: type[Decoded]) -> Decoded:
    """Decode one answer.

    Raises:
        msgspec.DecodeError: it is no JSON, or not of this shape.
    """
    if (decoder := _decoders.get(model)) is None:
        decoder = _decoders[model] = msgspec.json.Decoder(model)
    decoded: Decoded = decoder.decode(body)
    return decoded
