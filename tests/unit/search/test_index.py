"""One store's index: what is shown, in which order, of which slots."""

import sqlite3
from typing import Any

import pytest

from spine_core.records.ids import key_hash, slot_of
from spine_core.records.versions import make_version
from spine_node.search import gathering, recent
from spine_node.search.index import IndexUnreadableError
from spine_node.search.walks import Row
from spine_node.store.operations import Adopt, DropSlot
from unit.search.rig import ALL_SLOTS, NOW_MS, SLOTS, Shelf, asking, record_of


async def test_a_memory_is_listed_as_soon_as_its_write_is_acknowledged(shelf: Shelf) -> None:
    await shelf.write("a", {"tags": ["task"]})
    assert await shelf.ids(asking()) == ["a"]


async def test_ties_are_ordered_by_namespace_and_id(shelf: Shelf) -> None:
    for namespace, name in [("team.b", "a"), ("team.a", "b"), ("team.a", "a"), ("team", "z")]:
        await shelf.write(name, {}, namespace=namespace)
    await shelf.write("first", {}, created_ms=NOW_MS - 1)
    forwards = ["first", "z", "a", "b", "a"]
    assert await shelf.ids(asking(subtree=True)) == forwards
    assert await shelf.ids(asking(subtree=True, order="-created_at")) == forwards[::-1]
    assert await shelf.ids(asking(subtree=True, order="id")) == ["a", "a", "b", "first", "z"]


async def test_a_subtree_leaves_out_its_siblings_and_the_servers_own_namespaces(
    shelf: Shelf,
) -> None:
    for namespace in ("team", "team.a.b", "team-b", "teams", "team._leases", "team.a._jobs"):
        await shelf.write(namespace, {}, namespace=namespace)
    assert await shelf.ids(asking(subtree=True)) == ["team", "team.a.b"]
    assert await shelf.ids(asking(namespace="team._leases")) == ["team._leases"]


async def test_a_deleted_memory_is_never_shown_however_old_the_index_is(shelf: Shelf) -> None:
    await shelf.write("a", {"tags": ["task"]})
    await shelf.write("b", {"tags": ["task"]})
    assert await shelf.ids(asking({"tags": "task"})) == ["a", "b"]
    await shelf.write("a", None)
    assert await shelf.ids(asking({"tags": "task"}, fresh=False)) == ["b"]
    assert await shelf.ids(asking({"tags": "task"})) == ["b"]


async def test_an_expired_memory_is_not_shown(shelf: Shelf) -> None:
    await shelf.write("now", {}, expires_ms=NOW_MS)
    await shelf.write("later", {}, expires_ms=NOW_MS + 1)
    assert await shelf.ids(asking()) == ["later"]


async def test_a_row_older_than_its_record_is_judged_by_the_record(shelf: Shelf) -> None:
    await shelf.write("a", {"tags": ["task"]})
    assert await shelf.ids(asking({"tags": "task"})) == ["a"]
    await shelf.write("a", {"tags": ["done"]})
    assert await shelf.ids(asking({"tags": "task"}, fresh=False)) == []


async def test_a_store_answers_only_for_the_slots_it_is_told(shelf: Shelf) -> None:
    names = [f"n-{i}" for i in range(40)]
    for name in names:
        await shelf.write(name, {})
    shown = []
    for slot in range(SLOTS):
        of_slot = await shelf.ids(asking(slots=1 << slot))
        assert all(slot_of("team", name, SLOTS) == slot for name in of_slot)
        shown += of_slot
    assert sorted(shown) == sorted(names)


async def test_a_page_ends_where_it_has_cost_enough_and_the_next_goes_on(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "EXAMINED_MAX", 10)
    for i in range(25):
        await shelf.write(f"n-{i:02}", {"metadata": {"last": i == 24}})
    where = {"metadata.last": True}
    first = await shelf.ask(asking(where, limit=5))
    second = await shelf.ask(asking(where, limit=5, after=first.end))
    third = await shelf.ask(asking(where, limit=5, after=second.end))
    assert (first.candidates, second.candidates, third.end) == ([], [], None)
    assert [each.position[2] for each in third.candidates] == ["n-24"]


async def test_a_page_of_large_records_ends_early(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "PAGE_BYTES_MAX", 1000)
    for name in ("a", "b", "c"):
        await shelf.write(name, {"content": "x" * 600})
    page = await shelf.ask(asking())
    assert page.end == (NOW_MS, "team", "b")
    assert await shelf.ids(asking(after=page.end)) == ["c"]


async def test_own_writes_are_known_by_version_whether_they_live_or_not(shelf: Shelf) -> None:
    written = await shelf.write("a", {})
    overwritten = await shelf.write("b", {})
    await shelf.write("b", {"content": "newer"})
    deleted = await shelf.write("c", None)
    hashes = [key_hash("team", name) for name in "abc"]
    needs = list(zip(hashes, [written, overwritten, deleted], strict=True))
    assert (await shelf.ask(asking(needs=needs))).unknown == ()
    later = make_version(1 << 62, 1)
    assert (await shelf.ask(asking(needs=[(hashes[0], later)]))).unknown == (hashes[0],)
    assert (await shelf.ask(asking(needs=[(77, written)]))).unknown == (77,)


async def test_an_own_write_counts_only_in_a_slot_the_store_answers_for(shelf: Shelf) -> None:
    written = await shelf.write("a", {})
    hashed = key_hash("team", "a")
    others = ALL_SLOTS & ~(1 << slot_of("team", "a", SLOTS))
    assert (await shelf.ask(asking(needs=[(hashed, written)], slots=others))).unknown == (hashed,)


async def test_an_own_write_counts_only_where_it_is_indexed(shelf: Shelf) -> None:
    await shelf.write("a", {})
    await shelf.ask(asking())
    needs = [(key_hash("team", "a"), await shelf.write("a", {"content": "newer"}))]
    assert (await shelf.ask(asking(needs=needs, fresh=False))).unknown == (needs[0][0],)
    assert (await shelf.ask(asking(needs=needs))).unknown == ()


async def test_an_own_write_that_comes_behind_the_walk_does_not_count(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = shelf.stamp()
    window = shelf.index._readers.window

    async def overtaken(*asked: Any) -> list[Row]:
        rows = await window(*asked)
        await shelf.put("team", "a", record_of({}, own), own)
        await shelf.index._indexer.reach(shelf.store.feed_head())
        return rows

    monkeypatch.setattr(shelf.index._readers, "window", overtaken)
    page = await shelf.ask(asking(needs=[(key_hash("team", "a"), own)]))
    assert (page.candidates, page.unknown) == ([], (key_hash("team", "a"),))


async def test_an_own_write_that_the_store_has_dropped_does_not_count(shelf: Shelf) -> None:
    written = await shelf.write("a", {})
    needs = [(key_hash("team", "a"), written)]
    assert (await shelf.ask(asking(needs=needs))).unknown == ()
    await shelf.store.submit(Adopt(b'{"epoch":4}', 4, 1, "cluster", frozenset()))
    await shelf.store.submit(DropSlot(slot_of("team", "a", SLOTS), 4))
    assert (await shelf.ask(asking(needs=needs))).unknown == (needs[0][0],)


async def test_an_own_write_that_the_index_does_not_remember_counts_as_unknown(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "REMEMBERED_MAX", 2)
    await shelf.ask(asking())  # what is written from here on comes by the feed, in order
    needs = [(key_hash("team", name), await shelf.write(name, {})) for name in "abc"]
    assert (await shelf.ask(asking(needs=needs))).unknown == (needs[0][0],)


async def test_a_sweep_forgets_what_the_store_has_dropped(shelf: Shelf) -> None:
    await shelf.write("a", {})
    await shelf.write("b", {})
    await shelf.ids(asking())
    slot = slot_of("team", "b", SLOTS)
    await shelf.store.submit(Adopt(b'{"epoch":4}', 4, 1, "cluster", frozenset()))
    await shelf.store.submit(DropSlot(slot, 4))
    assert await shelf.index.sweep() == 1
    assert await shelf.index.sweep() == 0
    assert await shelf.ids(asking()) == ["a"]


async def test_a_sweep_that_sqlite_ends_says_so_in_our_words(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> list[object]:
        raise sqlite3.OperationalError("busy")

    monkeypatch.setattr(shelf.index._readers, "addresses", busy)
    with pytest.raises(IndexUnreadableError):
        await shelf.index.sweep()


async def test_a_sweep_into_a_file_that_could_not_be_made_says_so_as_well(shelf: Shelf) -> None:
    await shelf.write("a", {})
    await shelf.ids(asking())
    slot = slot_of("team", "a", SLOTS)
    await shelf.store.submit(Adopt(b'{"epoch":4}', 4, 1, "cluster", frozenset()))
    await shelf.store.submit(DropSlot(slot, 4))
    await shelf.index._indexer._on_thread(shelf.index._indexer._file.close)
    with pytest.raises(IndexUnreadableError):
        await shelf.index.sweep()
