"""Explicit-state model of one watch that reads the feeds of two replicas, of which either may go at any time.

How far a watch has come and what is news to it is the product's own (`watch_cursor`), and so is the
stable time that it stands on. All else is the adversary's: which replica gets a write directly, when they
pull from each other, how far an answer reads, when it comes, when the watch goes over to the other replica
(its own has crashed, or the epoch has changed), when a client comes back with its cursor, to the same
replica or the other, also in the middle of an answer.

A write has one chance to be applied directly, in the tick of its timestamp: that is the rule `late` in
the coarsest form that it has. Whatever was applied anywhere must be delivered once replicas agree,
acknowledged or not, unless a newer version of its record is; and on one connection no version goes back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from models.search import trace_of, with_item
from spine_core.records.hlc import MAX_DRIFT_MS, MAX_WRITE_MS
from spine_core.records.versions import ABSENT, Version, hlc_from_ms, make_version
from spine_core.replication.stable_time import stable_time
from spine_core.replication.watch_cursor import (
    Cursor,
    ReadFrom,
    Source,
    WatchProgress,
    assignment,
    progress_at,
)
from spine_core.scalars import HLC_ZERO, Hlc, Origin, StoreNumber

STORES = (StoreNumber(1), StoreNumber(2))
ALL_SLOTS = 1
HELD = dict.fromkeys(STORES, ALL_SLOTS)
EPOCH = 1
TICK_MS = MAX_WRITE_MS + MAX_DRIFT_MS  # no write is applied directly for longer than this
APPENDED, PULLED = 50, 100  # of a tick: after all its timestamps, after all that was appended


def at(tick: int, within: int = 0) -> Hlc:
    return Hlc(hlc_from_ms((tick + 1) * TICK_MS) + within)


class Entry(NamedTuple):
    """One change in the feed of a store."""

    seq: int
    key: bytes
    version: Version
    tick: int = 0  # of its append


class Store(NamedTuple):
    """One replica."""

    held: tuple[Version, ...]  # of each record
    feed: tuple[Entry, ...] = ()
    pulled: Hlc = HLC_ZERO  # its row of the sync matrix: from the other one


class Piece(NamedTuple):
    """A read of a feed on its way; without a position it was not served yet."""

    begin: ReadFrom
    entries: tuple[Entry, ...] = ()
    position: int = -1
    at_head: bool = False


class Connection(NamedTuple):
    """A watch: its progress, and what its client has seen on it."""

    store: int
    position: int | None
    source_low: Hlc
    asked: Hlc
    low: Hlc
    shown: tuple[tuple[bytes, Version], ...]
    seen: tuple[Version, ...]  # newest version of each record
    piece: Piece | None = None


class State(NamedTuple):
    """Replicas, the watch, and all that its client has ever seen."""

    tick: int
    written: tuple[int, ...]  # tick of each write, -1 before it
    stores: tuple[Store, ...]
    watch: Connection
    delivered: tuple[Version, ...]  # newest version of each record


class BrokenError(Exception):
    """The watch does not keep its promise."""


class Outcome(NamedTuple):
    """What an exploration has found."""

    states: int
    broken: str | None = None
    trace: tuple[str, ...] = ()


@dataclass(eq=False)
class Model:
    """Writes, by the record that each of them changes, and how many ticks there are."""

    records: Sequence[int]
    ticks: int = 3

    def start(self) -> State:
        none = (ABSENT,) * (max(self.records) + 1)
        watch = Connection(0, 0, HLC_ZERO, HLC_ZERO, HLC_ZERO, (), none)
        return State(0, (-1,) * len(self.records), (Store(none),) * 2, watch, none)

    def explore(self, *, limit: int = 600_000) -> Outcome:
        """Visit every state, depth first; stop at the first one that breaks the promise."""
        start = self.start()
        parents: dict[State, tuple[State, str] | None] = {start: None}
        stack = [start]
        while stack:
            state = stack.pop()
            label = "replicas agree, and the watch reads on to the head"
            try:
                self._check_end(state)
                for label, after in self._steps(state):
                    if after not in parents:
                        parents[after] = (state, label)
                        stack.append(after)
            except BrokenError as error:
                return Outcome(len(parents), str(error), (*trace_of(state, parents), label))
            assert len(parents) < limit, "the model has grown out of hand"
        return Outcome(len(parents))

    def _steps(self, state: State) -> Iterator[tuple[str, State]]:
        if state.tick < self.ticks:
            yield "tick", state._replace(tick=state.tick + 1)
        for number in range(len(self.records)):
            yield from self._write(state, number)
        for reader in (0, 1):
            pulled = self._pull(state, reader)
            if pulled != state:
                yield f"{reader} pulls", pulled
        yield from self._read(state)
        yield from self._go_over(state)

    # replicas

    def _version(self, state: State, number: int) -> Version:
        return make_version(at(state.written[number], number + 1), Origin(1))

    def _write(self, state: State, number: int) -> Iterator[tuple[str, State]]:
        if state.written[number] < 0:
            state = state._replace(written=with_item(state.written, number, state.tick))
        elif state.written[number] < state.tick:
            return  # late
        for place in (0, 1):
            version, record = self._version(state, number), self.records[number]
            if state.stores[place].held[record] < version:
                yield (
                    f"{place} gets write {number}",
                    self._applied(state, place, record, version),
                )

    def _applied(self, state: State, place: int, record: int, version: Version) -> State:
        store = state.stores[place]
        if store.held[record] >= version:
            return state
        entry = Entry(len(store.feed) + 1, b"%d" % record, version, state.tick)
        store = store._replace(
            held=with_item(store.held, record, version), feed=(*store.feed, entry)
        )
        return state._replace(stores=with_item(state.stores, place, store))

    def _pull(self, state: State, reader: int) -> State:
        for record, version in enumerate(state.stores[1 - reader].held):
            state = self._applied(state, reader, record, version)
        store = state.stores[reader]._replace(pulled=at(state.tick, PULLED))
        return state._replace(stores=with_item(state.stores, reader, store))

    def _stable(self, state: State) -> Hlc:
        one, other = state.stores
        rows = {(STORES[0], STORES[1]): one.pulled, (STORES[1], STORES[0]): other.pulled}
        return stable_time(rows, STORES)

    # the watch

    def _read(self, state: State) -> Iterator[tuple[str, State]]:
        watch = state.watch
        if watch.piece is None:
            yield "asks", self._asked(state)
        elif watch.piece.position < 0:
            for piece in self._pieces(state):
                yield (
                    f"is answered up to {piece.position}",
                    state._replace(watch=watch._replace(piece=piece)),
                )
        else:
            yield "takes the answer", self._taken(state)

    def _asked(self, state: State) -> State:
        progress = _progress(state.watch)
        begin = progress.ask(STORES[state.watch.store], self._stable(state))
        asked = _connection(progress, state.watch.seen)._replace(piece=Piece(begin))
        return state._replace(watch=asked)

    def _pieces(self, state: State) -> Iterator[Piece]:
        """Yield what the store that is followed may answer: up to any entry."""
        watch = state.watch
        assert watch.piece is not None
        store = state.stores[watch.store]
        first, after = watch.piece.begin
        if first is None:
            first = sum(at(entry.tick, APPENDED) <= after for entry in store.feed)
        for position in range(min(first + 1, len(store.feed)), len(store.feed) + 1):
            entries = tuple(
                entry
                for entry in store.feed[first:position]
                if store.held[int(entry.key)] == entry.version
            )
            yield watch.piece._replace(
                entries=entries, position=position, at_head=position == len(store.feed)
            )

    def _taken(self, state: State, *, events: int = 99) -> State:
        """Let the client see an answer, or the first events of it."""
        watch = state.watch
        assert watch.piece is not None
        piece, progress = watch.piece, _progress(watch)
        seen, delivered = watch.seen, state.delivered
        store = STORES[watch.store]
        for entry in progress.take(store, piece.entries, piece.position, at_head=piece.at_head):
            record = int(entry.key)
            if entry.version <= seen[record]:
                raise BrokenError("a version went back on one connection")
            seen = with_item(seen, record, entry.version)
            newest = max(delivered[record], entry.version)
            delivered = with_item(delivered, record, newest)
            events -= 1
            if not events:
                break
        return state._replace(watch=_connection(progress, seen), delivered=delivered)

    def _go_over(self, state: State) -> Iterator[tuple[str, State]]:
        """Yield what becomes of a watch that loses its store, and of a client that comes back."""
        watch, other = state.watch, 1 - state.watch.store
        progress = _progress(watch)
        orderly = progress.follow({STORES[other]: ALL_SLOTS}, complete=True)
        assert orderly, "nothing was forgotten"
        yield f"goes over to {other}", state._replace(watch=_connection(progress, watch.seen))
        left = [("comes back", state)]
        if watch.piece is not None and len(watch.piece.entries) > 1:
            left.append(("comes back after one event", self._taken(state, events=1)))
        for label, before in left:
            cursor = _progress(before.watch).cursor(EPOCH)
            for place in (0, 1):
                yield f"{label} to {place}", before._replace(watch=self._resumed(cursor, place))

    def _resumed(self, cursor: Cursor, place: int) -> Connection:
        progress = progress_at(cursor, EPOCH, HELD)
        progress.follow(assignment(HELD, [STORES[place]]), complete=True)
        return _connection(progress, (ABSENT,) * (max(self.records) + 1))

    # the promise

    def _check_end(self, state: State) -> None:
        """Let replicas agree and the watch read on: everything must have been delivered."""
        for reader in (0, 1):
            state = self._pull(state, reader)
        state = self._asked(state)
        *_, whole = self._pieces(state)
        state = self._taken(state._replace(watch=state.watch._replace(piece=whole)))
        if state.delivered != state.stores[0].held:
            raise BrokenError("a write was never delivered")


def _progress(watch: Connection) -> WatchProgress:
    source = Source(ALL_SLOTS, watch.position, watch.source_low, watch.asked)
    return WatchProgress(watch.low, {STORES[watch.store]: source}, True, dict(watch.shown))


def _connection(progress: WatchProgress, seen: tuple[Version, ...]) -> Connection:
    ((store, source),) = progress.sources.items()
    shown = tuple(sorted(progress.shown.items()))
    return Connection(
        STORES.index(store), source.position, source.low, source.asked, progress.low, shown, seen
    )
