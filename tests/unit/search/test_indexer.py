"""The index file follows the feed: exactly, again after a crash, and anew when it is of no use."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from spine_core.errors import ProblemError
from spine_core.records.ids import key_hash, slot_of
from spine_core.records.versions import make_version
from spine_core.scalars import Hlc, Origin, StoreNumber
from spine_node.search.entries import Entry
from spine_node.search.index import IndexPorts, QueryIndex
from spine_node.search.index_file import IndexFile, entries_of
from spine_node.search.limits import IndexLimits
from spine_node.search.messages import QueryCall, slots_of_bytes
from spine_node.search.schema import open_file
from spine_node.store import key_of
from spine_node.store.operations import Adopt, TrimFeed
from unit.search.harness import (
    ALL_SLOTS,
    DEADLINE_S,
    EPOCH,
    NOW_MS,
    SLOTS,
    IndexHarness,
    asking,
    opened_harness,
    opened_store,
    record_of,
    running_index,
)
from unit.store.harness import limited_to

_CONTENTS = {
    "row": "SELECT namespace.name, id, slot, version, row.number >> 20, expires, importance,"
    " pinned, agent, user, thread, tags FROM row"
    " JOIN namespace ON namespace.number = row.namespace ORDER BY 1, 2",
    "term": "SELECT row.id, listed.term FROM listed LEFT JOIN row ON row.number = doc ORDER BY 1, 2",
    "meta": "SELECT store_id, position FROM meta",
}


def contents(path: Path) -> dict[str, list[Sequence[Any]]]:
    """Return what a file shows, without the numbers that stand for strings."""
    connection = open_file(path / "index.sqlite")
    connection.execute("CREATE VIRTUAL TABLE temp.listed USING fts5vocab(main, term, instance)")
    try:
        return {name: connection.execute(sql).fetchall() for name, sql in _CONTENTS.items()}
    finally:
        connection.close()


async def fill(harness: IndexHarness, count: int) -> None:
    for i in range(count):
        await harness.write(
            f"n-{i % 7}", {"tags": [f"t-{(i + count) % 3}", "all"], "agent_id": f"a-{i % 2}"}
        )
        if i % 5 == 0:
            await harness.write(f"n-{i % 4}", None)


def rebuilds(index: QueryIndex) -> int:
    """Return how often the file was made from the records since the index was opened."""
    return index._indexer.generation


async def test_a_rebuilt_index_equals_one_that_followed_the_feed(tmp_path: Path) -> None:
    small = IndexLimits(batch=7, slice=3)
    async with opened_harness(tmp_path, limits=small) as harness:
        await harness.ask(asking())
        for count in range(10, 14):
            await fill(harness, count)
            await harness.ask(asking())
    followed = contents(tmp_path)
    (tmp_path / "index.sqlite").unlink()
    async with opened_harness(tmp_path) as harness:
        await harness.ask(asking())
    assert contents(tmp_path) == followed


async def test_an_index_goes_on_where_it_stopped(tmp_path: Path) -> None:
    async with opened_store(tmp_path) as store:
        async with running_index(store, tmp_path) as index:
            harness = IndexHarness(store, index)
            await fill(harness, 10)
            await harness.ask(asking())
        await harness.write("late", {})
        async with running_index(store, tmp_path) as index:
            assert "late" in await IndexHarness(store, index).ids(asking())
            assert rebuilds(index) == 0


async def test_rows_and_position_change_together_or_not_at_all(tmp_path: Path) -> None:
    async with opened_harness(tmp_path) as harness:
        await harness.write("a", {"tags": ["task"]})
        await harness.ask(asking())
        head, store_id = harness.store.feed_head(), harness.store.identity.store_id
        key = key_of(slot_of("team", "a", SLOTS), "team", "a")
        raw = harness.store.get(key)
    before = contents(tmp_path)
    file = IndexFile(tmp_path / "index.sqlite", store_id)
    assert file.open() == head
    with pytest.raises(OverflowError):  # the rows are written, the position cannot be
        file.write(entries_of([(key, None)]), 1 << 70)
    with pytest.raises(sqlite3.IntegrityError):  # the rows cannot be written
        file.write(entries_of([(key, raw), (key, raw)]), head + 1)
    file.close()
    assert contents(tmp_path) == before


class DyingFile(IndexFile):
    """A file whose process dies at the second page."""

    writes = 0

    def write(self, entries: Sequence[Entry], position: int | None) -> None:
        self.writes += 1
        if self.writes == 2:
            raise DyingError
        super().write(entries, position)


class DyingError(Exception):
    pass


async def test_an_index_that_was_not_finished_is_not_used(tmp_path: Path) -> None:
    small, file = IndexLimits(scan_records=3), tmp_path / "index.sqlite"
    names = [f"n-{i:02}" for i in range(20)]
    async with opened_store(tmp_path) as store:
        dying = QueryIndex(
            store,
            file,
            physical_ms=lambda: NOW_MS,
            limits=small,
            ports=IndexPorts(file=DyingFile),
        )
        for name in names:
            await IndexHarness(store, dying).write(name, {})
        with pytest.raises(DyingError):
            await dying.run()
        async with running_index(store, tmp_path, limits=small) as index:
            assert await IndexHarness(store, index).ids(asking()) == names


async def test_the_index_of_another_store_is_made_anew(tmp_path: Path) -> None:
    async with opened_harness(tmp_path / "old") as harness:
        await harness.write("old", {})
        await harness.ask(asking())
    async with opened_harness(tmp_path / "new") as harness:
        await harness.write("a", {})
        await harness.write("b", {})
    (tmp_path / "old" / "index.sqlite").rename(tmp_path / "new" / "index.sqlite")
    async with opened_harness(tmp_path / "new") as harness:
        assert await harness.ids(asking()) == ["a", "b"]


@pytest.mark.parametrize("damage", ["garbage", "hole", "older"])
async def test_a_file_that_is_no_sound_index_is_made_anew(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "index.sqlite"
    async with opened_harness(tmp_path) as harness:
        await fill(harness, 10)
        shown = await harness.ids(asking())
    if damage == "garbage":
        path.write_bytes(b"not a database" * 1000)
    elif damage == "hole":
        data = bytearray(path.read_bytes())
        data[4096:-4096] = bytes(len(data) - 8192)
        path.write_bytes(data)
    else:
        connection = open_file(path)
        connection.execute("PRAGMA user_version = 2")  # of the tables before these
        connection.execute("DELETE FROM row")
        connection.close()
    async with opened_harness(tmp_path) as harness:
        assert await harness.ids(asking()) == shown


async def test_an_index_behind_the_oldest_feed_entry_is_made_anew(tmp_path: Path) -> None:
    async with opened_store(tmp_path) as store:
        async with running_index(store, tmp_path) as index:
            await IndexHarness(store, index).ask(asking())
        harness = IndexHarness(store, index)
        await harness.write("a", {})
        await harness.write("b", {})
        while await store.submit(TrimFeed(Hlc(1 << 62))):
            pass
        async with running_index(store, tmp_path) as index:
            assert await IndexHarness(store, index).ids(asking()) == ["a", "b"]
            assert rebuilds(index) == 1


async def test_an_index_that_breaks_under_way_is_made_anew(tmp_path: Path) -> None:
    async with opened_harness(tmp_path) as harness:
        await fill(harness, 10)
        shown = await harness.ids(asking())
        connection = open_file(tmp_path / "index.sqlite")
        connection.execute("DROP INDEX row_created")
        connection.close()
        with pytest.raises(ProblemError) as refused:
            await harness.ask(asking())
        assert refused.value.code == "not-ready"
        assert await harness.ids(asking(fresh=False)) == shown


async def test_a_corrupt_record_keeps_its_row_and_stops_nobody(tmp_path: Path) -> None:
    file = IndexFile(tmp_path / "index.sqlite", "store")
    file.make()
    keys = [key_of(0, "team", name) for name in "ab"]
    versions = [make_version(Hlc(n), Origin(1)) for n in (1, 2)]
    raws = [record_of({"tags": ["task"]}, version) for version in versions]
    file.write(entries_of(zip(keys, raws, strict=True)), 2)
    deleted, damaged = record_of(None, make_version(Hlc(3), Origin(1))), raws[1][:-1] + b"?"
    file.write(entries_of(zip(keys, [deleted, damaged], strict=True)), 4)
    file.close()
    rows = contents(tmp_path)["row"]
    assert [(row[1], row[3]) for row in rows] == [("b", versions[1])]
    assert file.open() == 4
    assert file.damaged == {keys[1]}
    file.close()


async def damaged_slots(harness: IndexHarness, call: QueryCall) -> int:
    return slots_of_bytes((await harness.ask(call)).damaged)


async def test_a_record_that_cannot_be_read_is_no_answer_for_its_slot(tmp_path: Path) -> None:
    slot = slot_of("team", "b", SLOTS)
    async with opened_store(tmp_path) as store:
        async with running_index(store, tmp_path) as index:
            harness = IndexHarness(store, index)
            await harness.ask(asking())  # what is written from here on comes by the feed
            written = [await harness.write(name, {}) for name in "abc"]
            needs = [(key_hash("team", "b"), written[1])]
            harness.damage("team", "b")  # before it is indexed
            page = await harness.ask(asking(needs=needs))
            assert page.unknown == (needs[0][0],)
            assert [each.position[2] for each in page.candidates] == ["a", "c"]
            assert slots_of_bytes(page.damaged) == 1 << slot
            assert await damaged_slots(harness, asking(slots=ALL_SLOTS ^ 1 << slot)) == 0
            assert await damaged_slots(harness, asking(namespace="other")) == 0
            assert await damaged_slots(harness, asking(namespace="te", subtree=True)) == 0
        async with running_index(store, tmp_path) as index:  # it is known after a restart
            harness = IndexHarness(store, index, stamps=harness.stamps)
            assert await damaged_slots(harness, asking(fresh=False)) == 1 << slot
            assert rebuilds(index) == 0
        (tmp_path / "index.sqlite").unlink()
        async with running_index(store, tmp_path) as index:  # and found by a rebuild
            harness = IndexHarness(store, index, stamps=harness.stamps)
            assert await damaged_slots(harness, asking()) == 1 << slot
            await harness.write("b", {})
            assert await harness.ids(asking()) == ["a", "b", "c"]
            assert await damaged_slots(harness, asking()) == 0


async def test_a_damaged_record_that_is_gone_is_no_gap(harness: IndexHarness) -> None:
    await harness.write("b", {})
    harness.damage("team", "b")
    assert await damaged_slots(harness, asking()) != 0
    slot = slot_of("team", "b", SLOTS)
    owned = frozenset(range(SLOTS)) - {slot}
    adopt = Adopt(b'{"epoch":4}', EPOCH + 1, StoreNumber(1), "cluster", owned)
    assert await harness.store.submit(adopt) == "ok"
    await harness.store.drop([slot], EPOCH + 1)
    await harness.index.sweep()
    assert await damaged_slots(harness, asking()) == 0


@pytest.mark.parametrize("known", [True, False])
async def test_a_disk_that_is_full_keeps_the_index_waiting_and_not_rebuilding(
    tmp_path: Path, known: bool
) -> None:
    quick = IndexLimits(retry_s=0.01)
    names = [f"n-{i:03}" for i in range(400)]
    async with opened_store(tmp_path) as store:
        async with running_index(store, tmp_path) as index:
            await IndexHarness(store, index).ask(asking())
        for name in names:
            own = await IndexHarness(store, index).write(name, {"tags": ["x" * 400 + name]})
        if not known:
            (tmp_path / "index.sqlite").unlink()
        async with running_index(store, tmp_path, limits=quick) as index:
            harness = IndexHarness(store, index)
            with limited_to(100_000):
                for _ in range(2):
                    with pytest.raises(ProblemError) as refused:
                        await harness.ask(asking())
                    assert (refused.value.code, index._indexer.stuck) == ("not-ready", True)
                if known:
                    needs = [(key_hash("team", names[-1]), own)]
                    page = await harness.ask(asking(fresh=False, needs=needs))
                    assert page.candidates == []  # lists that need no more
                    assert page.unknown == (needs[0][0],)
            async with asyncio.timeout(DEADLINE_S):
                while index._indexer.stuck:
                    await asyncio.to_thread(lambda: None)
            assert len(await harness.ids(asking(limit=1000))) == len(names)
            assert (rebuilds(index) == 0) == known


async def test_a_change_is_indexed_without_anybody_asking(harness: IndexHarness) -> None:
    await harness.write("a", {})
    async with asyncio.timeout(DEADLINE_S):
        while await harness.ids(asking(fresh=False)) != ["a"]:
            await asyncio.to_thread(lambda: None)


async def test_a_query_waits_for_the_index_no_longer_than_its_deadline(tmp_path: Path) -> None:
    async with opened_store(tmp_path) as store:
        index = QueryIndex(store, tmp_path / "index.sqlite", physical_ms=lambda: NOW_MS)
        with pytest.raises(ProblemError) as late:
            await index.answer(asking(), asyncio.get_running_loop().time())
        assert late.value.code == "deadline-exceeded"
