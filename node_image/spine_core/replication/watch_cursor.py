"""How far a watch has come in the feeds that it follows, and what of them is news to it. Pure.

H, here `low`, is a low-water mark: every write stamped up to it is on every replica and was shown, or is
superseded. While the stores followed stay the same, their feed numbers lead on exactly. Another store
is read from its first entry appended after H: what was stamped later lies behind that point or will be
appended there; what was not stamped later has been shown.

So H is the stable time taken *before* a feed is read to its head, and moves only once all of that was
shown. Source: protocol.md §12.2.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from spine_core.records.tokens import CURSOR_CHARS_MAX, open_token, seal_token
from spine_core.records.versions import ABSENT, Version, hlc_of
from spine_core.scalars import HLC_ZERO, Hlc, StoreNumber

SHOWN_MAX = 100_000  # versions remembered by one watch: some 20 MB at most, while H stands still
SOURCES_MAX = 120  # whose feed numbers fit a token; with more of them it goes on from H alone

_FORM = 1
_HEAD = struct.Struct(">BQQ")
_POSITION = struct.Struct(">IQ")


class Cursor(NamedTuple):
    """Where a watch goes on: feed numbers hold under the same epoch, H holds always."""

    low: Hlc
    epoch: int
    positions: tuple[tuple[StoreNumber, int], ...]  # in the order in which stores were chosen


class FeedChange(Protocol):
    """One entry of a feed."""

    @property
    def seq(self) -> int:
        """Its number."""

    @property
    def key(self) -> bytes:
        """The record that changed."""

    @property
    def version(self) -> Version:
        """The version that it got."""


ChangeT = TypeVar("ChangeT", bound=FeedChange)


class ReadFrom(NamedTuple):
    """Where the next read of a feed begins."""

    position: int | None  # behind this entry; None: at the first entry appended after
    after: Hlc


@dataclass(slots=True)
class Source:
    """One store whose feed is followed."""

    slots: int  # bitmap: those that are followed here
    position: int | None  # the last entry that is done with, None before the first answer
    low: Hlc  # everything stamped up to it was shown, of these slots
    asked: Hlc = HLC_ZERO  # stable time before the read that is under way


@dataclass(slots=True)
class WatchProgress:
    """How far one watch has come, and which versions it has shown since H."""

    low: Hlc = HLC_ZERO
    sources: dict[StoreNumber, Source] = field(default_factory=dict)
    complete: bool = False  # every slot has a source; while one has none, H stands still
    shown: dict[bytes, Version] = field(default_factory=dict)  # key → version, above H
    forgotten: Hlc = HLC_ZERO  # the newest version that was shown and is not remembered

    def follow(self, assigned: Mapping[StoreNumber, int], *, complete: bool) -> bool:
        """Follow these stores for these slots; return whether versions still never go back.

        A store goes on where it stands if it was followed for all of its slots before. Every other
        one is read from H on, and may be behind what was shown: that must all be remembered.
        """
        old, self.complete = self.sources, complete
        self.sources = {}
        for store, slots in assigned.items():
            before = old.get(store)
            if before is not None and slots & ~before.slots == 0:
                self.sources[store] = Source(slots, before.position, before.low)
            else:
                self.sources[store] = Source(slots, None, self.low)
        anew = any(source.position is None for source in self.sources.values())
        return not anew or self.forgotten <= self.low

    def restart(self, stable: Hlc) -> None:
        """Give up what lies between here and the heads of the feeds: go on from H or `stable`."""
        self.sources = {}
        self.low = max(self.low, stable)
        self._forget()

    def ask(self, store: StoreNumber, stable: Hlc) -> ReadFrom:
        """Return where the next read of a store's feed begins; `stable` is the stable time now."""
        source = self.sources[store]
        source.asked = stable
        return ReadFrom(source.position, self.low)

    def take(
        self, store: StoreNumber, entries: Iterable[ChangeT], position: int, *, at_head: bool
    ) -> Iterator[ChangeT]:
        """Yield what is news in the piece of a feed that was asked for, moving on with each entry.

        Args:
            store: a source.
            entries: of the slots that are followed there, ascending.
            position: everything up to it was looked at.
            at_head: that was all that the store had.
        """
        source = self.sources[store]
        for entry in entries:
            source.position = entry.seq
            if self._is_news(entry.key, entry.version):
                self._remember(entry.key, entry.version)
                yield entry
        source.position = position
        if at_head:
            source.low = max(source.low, source.asked)
            self._raise_low()

    def note_shown(self, key: bytes, version: Version) -> None:
        """Note that a newer version was shown in the place of an entry that could not be read."""
        self.shown[key] = max(version, self.shown.get(key, ABSENT))

    def cursor(self, epoch: int) -> Cursor:
        """Return where a client that has seen all of this goes on."""
        positions = [(store, source.position) for store, source in self.sources.items()]
        known = tuple((store, at) for store, at in positions if at is not None)
        whole = self.complete and len(known) == len(positions) <= SOURCES_MAX
        return Cursor(self.low, epoch, known if whole else ())

    def _is_news(self, key: bytes, version: Version) -> bool:
        return hlc_of(version) > self.low and version > self.shown.get(key, ABSENT)

    def _remember(self, key: bytes, version: Version) -> None:
        if len(self.shown) >= SHOWN_MAX:
            self.forgotten = max(self.forgotten, *map(hlc_of, self.shown.values()))
            self.shown.clear()
        self.shown[key] = version

    def _raise_low(self) -> None:
        """Move H to what all sources have reached."""
        low = min(source.low for source in self.sources.values())
        if self.complete and low > self.low:
            self.low = low
            self._forget()

    def _forget(self) -> None:
        """Forget what no store can be behind any more."""
        self.shown = {key: v for key, v in self.shown.items() if hlc_of(v) > self.low}


def progress_at(cursor: Cursor, epoch: int, held: Mapping[StoreNumber, int]) -> WatchProgress:
    """Return the progress that a cursor stands for, before stores are chosen (`follow`).

    Its feed numbers count under the epoch in which they were given, where `held` (store → slots that it
    may be read for) still says which slots each of them stood for.
    """
    progress = WatchProgress(cursor.low)
    if cursor.epoch == epoch:
        stores = [store for store, _ in cursor.positions]
        assigned = assignment(held, stores)
        progress.sources = {
            store: Source(assigned[store], position, cursor.low)
            for store, position in cursor.positions
            if store in assigned
        }
    return progress


def assignment(
    held: Mapping[StoreNumber, int], stores: Sequence[StoreNumber]
) -> dict[StoreNumber, int]:
    """Return store → slots to follow there: each slot at the first store that has it."""
    assigned: dict[StoreNumber, int] = {}
    taken = 0
    for store in stores:
        slots = held.get(store, 0) & ~taken
        if slots:
            assigned[store] = slots
            taken |= slots
    return assigned


def seal_cursor(cursor: Cursor, key: bytes) -> str:
    """Return the token of a cursor."""
    payload = _HEAD.pack(_FORM, cursor.low, cursor.epoch)
    return seal_token(payload + b"".join(_POSITION.pack(*at) for at in cursor.positions), key)


def open_cursor(text: str, keys: Sequence[bytes]) -> Cursor | None:
    """Return the cursor of a token that one of `keys` has signed, None of any other text."""
    payload = open_token(text, keys, chars_max=CURSOR_CHARS_MAX)
    if payload is None or payload[:1] != bytes([_FORM]):
        return None
    _, low, epoch = _HEAD.unpack_from(payload)
    positions = _POSITION.iter_unpack(payload[_HEAD.size :])
    return Cursor(Hlc(low), epoch, tuple((StoreNumber(store), at) for store, at in positions))
