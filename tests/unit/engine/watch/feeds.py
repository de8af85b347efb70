"""The double of the feeds of three stores: each answers what a test has written into it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from models.clusters import SLOTS
from spine_core.errors import ProblemError
from spine_core.records.encoding import Record, encode, join_body
from spine_core.records.filters import EMPTY, Filter
from spine_core.records.ids import slot_of
from spine_core.records.versions import Version, hlc_from_ms, make_version
from spine_core.scalars import HLC_ZERO, Hlc, Origin, StoreNumber
from spine_core.topology.placement import Placement
from spine_node.engine.cluster.topology_view import MemberView
from spine_node.engine.watch.feed_server import FeedCall, FeedEdge, FeedRecord, FeedReply
from spine_node.engine.watch.sources import Unanswered
from spine_node.engine.watch.watch import WatchParts
from spine_node.engine.watch.watches import Watches
from spine_node.ports import EventKind, WatchRequest
from spine_node.server_fields import ServerFields, pack_server_fields
from spine_node.store import checksum, key_of
from unit.engine.harness import NOW_MS, OTHER, ManualClock, document_for

A, B, C = StoreNumber(1), StoreNumber(2), StoreNumber(3)
NAMESPACE = "team.notes"
KEYS = (b"a key of sixteen",)


def at(ms: int) -> Version:
    """Return a version stamped so many ms after NOW_MS."""
    return make_version(hlc(ms), Origin(1))


def hlc(ms: int) -> Hlc:
    return hlc_from_ms(NOW_MS + ms)


def record(seq: int, name: str, version: Version, json: bytes = b'{"tags":["t"]}') -> FeedRecord:
    """Return an entry whose record is live."""
    fields = pack_server_fields(ServerFields(created_at=NOW_MS, writer="w"))
    raw = encode(Record(version=version, op=1, body=join_body(fields, json)), checksum)
    slot = slot_of(NAMESPACE, name, SLOTS)
    return FeedRecord(seq, key_of(slot, NAMESPACE, name), version, raw)


def view(*, epoch: int = 1) -> MemberView:
    """Return the topology of three stores that hold everything, seen from the first."""
    document = document_for(OTHER, epoch=epoch)
    return MemberView(document=document, placement=Placement(document), digest="", number=A)


@dataclass
class ScriptedFeeds:
    """Three feeds; the first store is followed unless it is down."""

    clock: ManualClock
    now: MemberView = field(default_factory=view)
    down: set[StoreNumber] = field(default_factory=set)
    low: Hlc = HLC_ZERO
    entries: dict[StoreNumber, list[FeedRecord]] = field(default_factory=dict)
    oldest: int = 0  # entries up to it are no longer kept
    other_epoch: int = 0  # so many answers are refused for it
    calls: list[tuple[StoreNumber, FeedCall]] = field(default_factory=list)
    low_after: Hlc | None = None  # stable time while an answer is on its way

    def view(self) -> MemberView:
        return self.now

    def is_current(self, view: MemberView) -> bool:
        return view is self.now

    def stable(self, _view: MemberView) -> Hlc:
        return self.low

    def choose(
        self,
        view: MemberView,
        preferred: Sequence[StoreNumber],
        avoided: Collection[StoreNumber],
    ) -> list[StoreNumber]:
        assert view is self.now
        up = [store for store in (A, B, C) if store not in self.down | set(avoided)]
        return [*preferred] if preferred and set(preferred) <= set(up) else up[:1]

    async def read(
        self, view: MemberView, store: StoreNumber, call: FeedCall
    ) -> FeedReply | Unanswered:
        assert view.number == A
        self.calls.append((store, call))
        if self.other_epoch:
            self.other_epoch -= 1
            return Unanswered.OTHER_EPOCH
        if store in self.down:
            return Unanswered.LOST
        self.low = self.low_after or self.low
        return await self._answer(self.entries.get(store, []), call)

    async def _answer(self, feed: list[FeedRecord], call: FeedCall) -> FeedReply:
        head = feed[-1].seq if feed else 0
        begin = {
            FeedEdge.HEAD: head,
            FeedEdge.OLDEST: self.oldest,
            FeedEdge.AFTER: self.oldest,
        }.get(call.edge, call.position)
        if begin < self.oldest:
            return FeedReply(0, False, [], True)
        found = [entry for entry in feed if entry.seq > begin][: call.limit]
        if not found:
            await self.clock.sleep(call.wait_ms / 1000)
        position = found[-1].seq if found else begin
        return FeedReply(position, position == head, found)


class NoReads:
    """A coordinator of reads that finds what a test tells it, or no quorum."""

    def __init__(self) -> None:
        self.found: Record | None = None
        self.problem: ProblemError | None = ProblemError("quorum-unavailable", "none")

    async def quorum(self, _namespace: str, _memory_id: str, _deadline: float) -> Record | None:
        if self.problem is not None:
            raise self.problem
        return self.found


@dataclass
class WatchHarness:
    """The watches of one node over scripted feeds."""

    clock: ManualClock = field(default_factory=ManualClock)
    reads: NoReads = field(default_factory=NoReads)
    leaving: str | None = None

    def __post_init__(self) -> None:
        self.feeds = ScriptedFeeds(self.clock)
        self.watches = Watches(
            WatchParts(
                feeds=self.feeds,
                reads=self.reads,
                clock=self.clock,
                cursor_keys=lambda: KEYS,
                leaving=lambda: self.leaving,
            )
        )

    def request(
        self,
        since: str = "now",
        *,
        last_event_id: str | None = None,
        where: Filter = EMPTY,
        events: frozenset[EventKind] = frozenset({"put", "delete"}),
    ) -> WatchRequest:
        return WatchRequest(
            namespace=NAMESPACE,
            scope="exact",
            filter=where,
            events=events,
            since=since,
            last_event_id=last_event_id,
            deadline=self.clock.now() + 1.0,
        )
