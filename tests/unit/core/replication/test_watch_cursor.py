"""Progress and cursors of a watch: the cases that the model of one slot has not, and the token."""

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from spine_core.records.tokens import CURSOR_CHARS_MAX, derive_key, seal_token
from spine_core.records.versions import Version, make_version
from spine_core.replication.watch_cursor import (
    SHOWN_MAX,
    SOURCES_MAX,
    Cursor,
    ReadFrom,
    WatchProgress,
    assignment,
    open_cursor,
    progress_at,
    seal_cursor,
)
from spine_core.scalars import Hlc, Origin, StoreNumber

A, B, C = StoreNumber(1), StoreNumber(2), StoreNumber(3)
KEY = derive_key(b"a secret of at least thirty-two bytes", "cursor")
LOW = Hlc(100)
stores = st.integers(min_value=1, max_value=2**24 - 1).map(StoreNumber)
numbers = st.integers(min_value=0, max_value=2**63 - 1)


class Entry(NamedTuple):
    """An entry of a feed."""

    seq: int
    key: bytes
    version: Version


def stamped(hlc: int) -> Version:
    return make_version(Hlc(hlc), Origin(1))


def entry(seq: int, key: bytes, hlc: int) -> Entry:
    return Entry(seq, key, stamped(hlc))


def taken(
    progress: WatchProgress,
    store: StoreNumber,
    entries: Sequence[Entry],
    *,
    stable: int = 0,
    at_head: bool = True,
) -> list[bytes]:
    """Ask for a piece and take it; return the keys of what is news."""
    progress.ask(store, Hlc(stable))
    position = entries[-1].seq if entries else 0
    return [one.key for one in progress.take(store, entries, position, at_head=at_head)]


def following(low: Hlc, **slots: int) -> WatchProgress:
    progress = WatchProgress(low)
    assigned = {StoreNumber("_ABC".index(name)): bits for name, bits in slots.items()}
    assert progress.follow(assigned, complete=True)
    return progress


def test_a_store_that_joins_the_sources_shows_nothing_from_before_h() -> None:
    progress = following(LOW, A=0b1)
    assert progress.ask(A, LOW) == ReadFrom(None, LOW)
    entries = [entry(7, b"old", 99), entry(8, b"at", 100), entry(9, b"new", 101)]
    assert taken(progress, A, entries) == [b"new"]


def test_h_is_what_all_sources_have_reached() -> None:
    progress = following(LOW, A=0b01, B=0b10)
    taken(progress, A, [], stable=200)
    assert progress.low == LOW
    taken(progress, B, [], stable=150)
    assert progress.low == 150
    taken(progress, B, [], stable=120)
    assert progress.low == 150, "it never falls"


def test_h_stands_still_while_a_slot_has_no_source() -> None:
    progress = WatchProgress(LOW)
    assert progress.follow({A: 0b01}, complete=False)
    taken(progress, A, [entry(5, b"k", 300)], stable=200)
    assert progress.cursor(9) == Cursor(LOW, 9, ()), "nothing is known of the slot without a source"
    assert progress.follow({A: 0b01, B: 0b10}, complete=True)
    assert progress.ask(B, Hlc(250)) == ReadFrom(None, LOW)


def test_a_store_goes_on_where_it_stands_if_it_keeps_its_slots_or_loses_some() -> None:
    progress = following(LOW, A=0b11)
    taken(progress, A, [entry(5, b"k", 300)])
    assert progress.follow({A: 0b01, B: 0b10}, complete=True)
    assert progress.ask(A, LOW).position == 5
    assert progress.ask(B, LOW) == ReadFrom(None, LOW)


def test_a_store_that_gets_more_slots_is_read_from_h_again() -> None:
    progress = following(LOW, A=0b01, B=0b10)
    taken(progress, A, [entry(5, b"k", 300)])
    assert progress.follow({A: 0b11}, complete=True)
    assert progress.ask(A, LOW) == ReadFrom(None, LOW)
    assert taken(progress, A, [entry(5, b"k", 300), entry(6, b"j", 301)]) == [b"j"]


def test_a_watch_that_has_forgotten_what_it_showed_cannot_go_over_in_order() -> None:
    progress = following(LOW, A=0b1)
    many = [entry(n, b"%d" % n, 200 + n) for n in range(1, SHOWN_MAX + 2)]
    assert len(taken(progress, A, many)) == len(many)
    assert len(progress.shown) == 1
    assert progress.follow({A: 0b1}, complete=True), "the same store is still in order"
    assert not progress.follow({B: 0b1}, complete=True)


def test_what_was_forgotten_does_not_matter_below_h() -> None:
    progress = following(LOW, A=0b1)
    many = [entry(n, b"%d" % n, 200) for n in range(1, SHOWN_MAX + 2)]
    taken(progress, A, many, stable=300)
    assert progress.shown == {}
    assert progress.follow({B: 0b1}, complete=True)


def test_a_watch_that_starts_anew_still_knows_what_it_has_shown() -> None:
    progress = following(LOW, A=0b1)
    taken(progress, A, [entry(1, b"i", 201), entry(2, b"j", 301)])
    progress.restart(Hlc(250))
    assert (progress.low, progress.shown) == (250, {b"j": stamped(301)})
    assert progress.follow({B: 0b1}, complete=True)
    assert taken(progress, B, [entry(7, b"j", 280), entry(8, b"i", 302)]) == [b"i"]


def test_a_cursor_within_a_piece_stands_behind_the_last_event() -> None:
    progress = following(LOW, A=0b1)
    progress.ask(A, Hlc(200))
    entries = [entry(4, b"i", 301), entry(5, b"j", 302), entry(6, b"k", 303)]
    news = progress.take(A, entries, 9, at_head=True)
    next(news)
    assert progress.cursor(7) == Cursor(LOW, 7, ((A, 4),))
    assert [one.key for one in news] == [b"j", b"k"]
    assert progress.cursor(7) == Cursor(Hlc(200), 7, ((A, 9),))


def test_a_cursor_of_the_same_epoch_goes_on_exactly_at_the_same_stores() -> None:
    held = {A: 0b011, B: 0b110}
    progress = progress_at(Cursor(LOW, 3, ((B, 20), (A, 10))), 3, held)
    assert progress.follow(assignment(held, [B, A]), complete=True)
    assert progress.ask(B, LOW).position == 20
    assert progress.ask(A, LOW).position == 10
    assert progress.follow(assignment(held, [A, B]), complete=True)
    assert progress.ask(A, LOW).position is None, "A was followed for one slot alone"


def test_a_cursor_of_another_epoch_goes_on_from_h_alone() -> None:
    progress = progress_at(Cursor(LOW, 3, ((A, 10),)), 4, {A: 0b1})
    assert progress.follow({A: 0b1}, complete=True)
    assert progress.ask(A, LOW) == ReadFrom(None, LOW)


def test_each_slot_is_followed_at_the_first_store_that_has_it() -> None:
    assert assignment({A: 0b011, B: 0b110, C: 0b100}, [B, C, A]) == {B: 0b110, A: 0b001}


@given(numbers, numbers, st.lists(st.tuples(stores, numbers), max_size=SOURCES_MAX))
def test_a_cursor_survives_its_token(
    low: int, epoch: int, positions: list[tuple[StoreNumber, int]]
) -> None:
    cursor = Cursor(Hlc(low), epoch, tuple(positions))
    token = seal_cursor(cursor, KEY)
    assert len(token) <= CURSOR_CHARS_MAX
    assert open_cursor(token, [KEY]) == cursor


def test_a_watch_of_more_stores_than_fit_a_token_goes_on_from_h_alone() -> None:
    progress = WatchProgress(LOW)
    many = {StoreNumber(n): 1 << n for n in range(1, SOURCES_MAX + 2)}
    progress.follow(many, complete=True)
    for store in many:
        taken(progress, store, [entry(1, b"k", 50)])
    assert progress.cursor(1) == Cursor(LOW, 1, ())


def test_no_other_text_is_a_cursor() -> None:
    token = seal_cursor(Cursor(LOW, 1, ()), KEY)
    assert (
        open_cursor(token, [derive_key(b"a secret of at least thirty-two bytes", "page")]) is None
    )
    for text in ("", "now", "%", token[:-1], token + "A", seal_token(b"", KEY)):
        assert open_cursor(text, [KEY]) is None
