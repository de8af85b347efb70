"""What HTTP and links may ask of the engine: requests in, outcomes out, all frozen.

`http/` parses bytes into these requests and renders these outcomes; `engine` alone decides. A failure
is a `ProblemError` from spine_core, whose code and `outcome` say what the caller may conclude.
Deadlines are in seconds of the event loop's clock (`loop.time()`), ages and durations as named.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from spine_core.errors import ProblemError
from spine_core.problems import Outcome
from spine_core.records.consistency import Model
from spine_core.records.encoding import Record
from spine_core.records.filters import Filter
from spine_core.records.sessions import Session
from spine_core.records.versions import Version, etag_of


class Patched(NamedTuple):
    """A memory after a merge patch."""

    memory: bytes  # the JSON that is kept
    ttl_seconds: int | None
    pinned: bool


MergePatch = Callable[[bytes, bytes], Patched]  # of (kept JSON, patch); raises InvalidInputError


class Fence(NamedTuple):
    """The lease that protects a write, and the number of its grant."""

    lease: str
    fence: int


class WriteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One write: a create, a replacement, a deletion, a merge patch or a touch.

    `memory_id` None asks the server to issue one (POST). `memory` is the client's JSON object as it
    is kept, None deletes, unless `patch` is one to be merged into it or `touch` asks for a new expiry.
    `model` is what the header asked for, None when it was silent.
    """

    namespace: str
    memory_id: str | None
    memory: bytes | None
    subject: str  # of the credential
    session: Session | None
    deadline: float
    model: Model | None = None
    tags: tuple[str, ...] = ()
    agent_id: str | None = None
    partition_by: str | None = None
    ttl_seconds: int | None = None
    pinned: bool = False
    idempotency_key: str | None = None
    patch: bytes | None = None
    touch: bool = False
    if_match: str | None = None  # an ETag without its quotes, or `*` for any
    create_only: bool = False  # `If-None-Match: *`
    fence: Fence | None = None
    unguard: bool = False

    @property
    def needs_register(self) -> bool:
        """Whether only a round can decide about it."""
        return (
            self.patch is not None
            or self.touch
            or self.if_match is not None
            or self.create_only
            or self.fence is not None
            or self.unguard
        )


class PreconditionFailedError(ProblemError):
    """A condition does not hold for `current`, which is None where nothing is."""

    def __init__(self, current: Record | None, *, outcome: Outcome, detail: str) -> None:
        self.current = current
        version = None if current is None else etag_of(current.version)
        super().__init__(
            "precondition-failed", detail, outcome=outcome, extra={"current_version": version}
        )


class WriteOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """An acknowledged write: fsynced on the write quorum."""

    memory_id: str
    record: Record
    created: bool  # nothing live stood there before
    replayed: bool  # a keyed create that an earlier attempt had already made
    model: Model
    session: Session
    acks: int  # replicas known to hold it
    replicas: int  # of the write set


class LeaseState(msgspec.Struct, frozen=True, kw_only=True):
    """What the record of a lease says."""

    key: str
    holder: str  # empty: it was given back
    fence: int
    ttl_ms: int
    expires_ms: int  # since 1970
    guards: tuple[str, ...] = ()


_LEASES = "._leases"  # the server's own label: leases of a namespace lie below it
_lease = msgspec.json.Decoder(LeaseState)


def leases_of(namespace: str) -> str:
    """Return the namespace in which the leases of a namespace are kept."""
    return namespace + _LEASES


def lease_owner(namespace: str) -> str | None:
    """Return the namespace whose leases lie in this one, None where none do."""
    return namespace.removesuffix(_LEASES) if namespace.endswith(_LEASES) else None


def lease_in(body: bytes) -> LeaseState:
    """Return what the JSON in the record of a lease says."""
    return _lease.decode(body)


class LeaseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One acquire, renewal or release of a lease."""

    namespace: str
    key: str
    holder: str
    subject: str  # of the credential
    session: Session | None
    deadline: float
    fence: int = 0  # of the grant, to renew and to release
    ttl_ms: int | None = None  # to acquire; None renews for as long as before
    wait_ms: int = 0
    guards: tuple[str, ...] = ()  # ids that are stamped with the fence of the grant
    idempotency_key: str | None = None


class LeaseOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A lease after a change of it."""

    state: LeaseState
    session: Session


class ReadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One read of one record."""

    namespace: str
    memory_id: str
    session: Session | None
    deadline: float
    model: Model | None = None


class ReadOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a read found. `record` None: never existed, or purged; a tombstone is still a record."""

    record: Record | None
    model: Model
    session: Session
    staleness_ms: int | None = None  # one-replica reads: now - F
    degraded: Literal["one-replica", "partial", "isolated"] | None = None


ListScope = Literal["exact", "subtree"]  # the namespace alone, or what lies below it too
ListOrder = Literal["-created_at", "created_at", "id"]


class ListRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the records of a namespace that match a filter."""

    namespace: str
    scope: ListScope
    filter: Filter
    filter_hash: bytes  # of the canonical filter; a page token of another one is refused
    order: ListOrder
    page_size: int
    page_token: str | None
    session: Session | None
    deadline: float
    model: Model | None = None


class ListItem(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a page."""

    namespace: str
    memory_id: str
    record: Record


class ListOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A page, and how much of the key space answered."""

    items: tuple[ListItem, ...]
    next_page_token: str | None
    slots: int
    answered: int
    model: Model
    session: Session
    index_lag_ms: int


EventKind = Literal["put", "delete", "lease"]
DeleteReason = Literal["deleted", "pruned"]


class WatchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to follow, and from where: `now`, `beginning`, or a cursor. `last_event_id` wins."""

    namespace: str
    scope: ListScope
    filter: Filter  # of puts; a deletion has nothing left to look at
    events: frozenset[EventKind]
    since: str
    last_event_id: str | None
    deadline: float  # for the beginning alone


class WatchEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One acknowledged change, or a later one of the same record; or one that was never acknowledged."""

    kind: EventKind
    namespace: str  # of a lease: the one it belongs to
    memory_id: str  # of a lease: its key
    version: Version
    record: Record | None  # None: deleted
    reason: DeleteReason | None = None
    cursor: str  # where a client goes on that has seen it


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Some events in the order in which they were found, and where a client goes on behind them."""

    events: list[WatchEvent] = []
    cursor: str
    reset: bool = False  # what lies before is no longer kept: list again
    ended: bool = False  # this watch gives no more; another one goes on from the cursor


class Watch(Protocol):
    """An open watch; to be closed by whoever opened it."""

    async def next(self, limit: int, wait_s: float) -> Changes:
        """Return at most `limit` events as soon as there are any, none after `wait_s`.

        Raises:
            ProblemError: `not-ready`, `coverage-incomplete`.
        """

    async def close(self) -> None:
        """Give back what it holds."""


class Engine(Protocol):
    """The data plane of one node, whatever way the request came in."""

    async def write(self, request: WriteRequest) -> WriteOutcome:
        """Store or delete one record on its write quorum."""

    async def read(self, request: ReadRequest) -> ReadOutcome:
        """Read one record at the model that request, tags and policy ask for."""

    async def acquire_lease(self, request: LeaseRequest) -> LeaseOutcome:
        """Take a lease, and stamp its guards."""

    async def renew_lease(self, request: LeaseRequest) -> LeaseOutcome:
        """Let a lease run from now on."""

    async def release_lease(self, request: LeaseRequest) -> LeaseOutcome:
        """Give a lease back."""

    async def lease(self, namespace: str, key: str, deadline: float) -> LeaseState | None:
        """Read a lease, strongly; None where nobody ever took it."""

    def is_held(self, lease: LeaseState) -> bool:
        """Whether somebody has a lease now."""

    async def list(self, request: ListRequest) -> ListOutcome:
        """Answer one page from the query indexes of the fewest replicas that cover the key space."""

    async def watch(self, request: WatchRequest) -> Watch:
        """Follow the changes of a namespace.

        Raises:
            ProblemError: `invalid-request` (cursor), `not-ready`, `coverage-incomplete`.
        """


class Operations(Protocol):
    """What probes, the operator and people ask about a node (operator.md §5.1)."""

    def live(self) -> bool:
        """The process is able to work; false asks for a restart."""

    def ready(self) -> str | None:
        """None when clients may come, else the reason they may not. Never needs a quorum."""

    def full(self) -> bool:
        """Writes but deletions are refused, for lack of space on this node's disk."""

    def started(self) -> bool:
        """Start-up has ended."""

    def cluster(self, *, slots: bool) -> dict[str, Any]:
        """Describe the cluster as this node knows it: the body of `GET /v1/cluster`."""

    def report(self, *, slots: bool) -> dict[str, Any]:
        """Describe this node: the `Report` of `GET /admin/v1/status`."""

    def store_id(self) -> str:
        """The identity of this node's store, a UUID; admin calls must name it."""

    def topology(self) -> bytes | None:
        """Return the persisted topology document as canonical JSON."""

    async def adopt(self, document: bytes) -> tuple[int, str]:
        """Adopt a topology document durably; answer (epoch, digest).

        Raises:
            ProblemError: `stale-epoch`, `epoch-conflict`, `misdirected`, `validation-failed`.
        """

    def set_pace(self, *, bytes_per_s: int, slots: int) -> None:
        """Bound the pulls of a change: bytes per second, slots at once (0 suspends them)."""

    async def drain(self, *, on: bool) -> int:
        """Turn client traffic away, or let it in again; answer the requests in flight."""

    async def resign(self) -> None:
        """Coordinate no more, flush, save digests; the report then says `clean`."""

    def own_record(self, namespace: str, memory_id: str) -> Mapping[str, Any] | None:
        """Return this store's own copy: version, flags, body_base64, register. No network."""

    def metrics(self) -> bytes:
        """Return the Prometheus text of this node."""
