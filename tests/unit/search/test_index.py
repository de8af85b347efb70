"""One store's index: what is shown, in which order, of which slots."""

import sqlite3
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from spine_core.records.ids import key_hash, slot_of
from spine_core.records.versions import make_version
from spine_core.scalars import Hlc, Origin, StoreNumber
from spine_node.search.index import IndexPorts
from spine_node.search.indexer import IndexUnreadableError
from spine_node.search.limits import IndexLimits
from spine_node.search.messages import Position, slots_of_bytes
from spine_node.search.plan import QueryPlan
from spine_node.search.readers import Address, Readers
from spine_node.search.schema import CREATED_MS_MAX
from spine_node.search.terms import term_of
from spine_node.search.walks import Row
from spine_node.store.operations import Adopt, DropSlot
from unit.search.harness import (
    ALL_SLOTS,
    NOW_MS,
    SLOTS,
    IndexHarness,
    asking,
    opened_harness,
    record_of,
)


async def test_a_memory_is_listed_as_soon_as_its_write_is_acknowledged(
    harness: IndexHarness,
) -> None:
    await harness.write("a", {"tags": ["task"]})
    assert await harness.ids(asking()) == ["a"]


async def test_ties_are_ordered_by_namespace_and_id(harness: IndexHarness) -> None:
    await harness.ids(asking())  # what is written from here on comes by the feed, in order
    for namespace, name in [("team.b", "a"), ("team.a", "b"), ("team.a", "a"), ("team", "z")]:
        await harness.write(name, {}, namespace=namespace)
    await harness.write("first", {}, created_ms=NOW_MS - 1)
    forwards = ["first", "z", "a", "b", "a"]
    assert await harness.ids(asking(subtree=True)) == forwards
    assert await harness.ids(asking(subtree=True, order="-created_at")) == forwards[::-1]
    assert await harness.ids(asking(subtree=True, order="id")) == ["a", "a", "b", "first", "z"]


async def test_a_subtree_leaves_out_its_siblings_and_the_servers_own_namespaces(
    harness: IndexHarness,
) -> None:
    for namespace in ("team", "team.a.b", "team-b", "teams", "team._leases", "team.a._jobs"):
        await harness.write(namespace, {}, namespace=namespace)
    assert await harness.ids(asking(subtree=True)) == ["team", "team.a.b"]
    assert await harness.ids(asking(namespace="team._leases")) == ["team._leases"]


async def test_a_deleted_memory_is_never_shown_however_old_the_index_is(
    harness: IndexHarness,
) -> None:
    await harness.write("a", {"tags": ["task"]})
    await harness.write("b", {"tags": ["task"]})
    assert await harness.ids(asking({"tags": "task"})) == ["a", "b"]
    await harness.write("a", None)
    assert await harness.ids(asking({"tags": "task"}, fresh=False)) == ["b"]
    assert await harness.ids(asking({"tags": "task"})) == ["b"]


def texts_of_one_term() -> tuple[str, str]:
    """Return two tags of namespace 1, the first that the index meets, that have the same term."""
    met: dict[str, str] = {}
    for number in range(1_000_000):
        text = sha256(number.to_bytes(3)).hexdigest()[:12]
        other = met.setdefault(term_of(1, "tags", text), text)
        if other != text:
            return other, text
    raise AssertionError("no two texts of one term")


async def test_texts_that_share_a_term_are_told_apart(harness: IndexHarness) -> None:
    mine, other = texts_of_one_term()
    await harness.write("a", {"tags": [mine]})
    await harness.write("b", {"tags": [other]})
    await harness.write("c", {"tags": [mine, other]})
    assert await harness.ids(asking({"tags": mine})) == ["a", "c"]
    assert await harness.ids(asking({"tags": {"$all": [mine, other]}})) == ["c"]
    await harness.write("c", {"tags": [other]})
    assert await harness.ids(asking({"tags": mine})) == ["a"]
    assert await harness.ids(asking({"tags": {"$any": [mine, other]}})) == ["a", "b", "c"]


async def test_two_tags_are_not_one_with_a_line_end(harness: IndexHarness) -> None:
    await harness.write("it", {"tags": ["a", "b"]})
    assert await harness.ids(asking({"tags": {"$ne": "a\nb"}})) == ["it"]


async def test_a_memory_of_a_time_that_no_row_can_have_is_damage(harness: IndexHarness) -> None:
    await harness.write("a", {}, created_ms=CREATED_MS_MAX)
    assert await harness.ids(asking()) == ["a"]
    await harness.write("b", {}, created_ms=CREATED_MS_MAX + 1)
    page = await harness.ask(asking())
    assert slots_of_bytes(page.damaged) == 1 << slot_of("team", "b", SLOTS)


async def test_an_expired_memory_is_not_shown(harness: IndexHarness) -> None:
    await harness.write("now", {}, expires_ms=NOW_MS)
    await harness.write("later", {}, expires_ms=NOW_MS + 1)
    assert await harness.ids(asking()) == ["later"]


@pytest.mark.parametrize(
    ("time", "signs"),
    [
        ("1960-01-01T00:00:00Z", {"$gt", "$gte"}),  # before all that bytes can tell
        ("2023-11-14T22:13:19.999Z", {"$gt", "$gte"}),
        ("2023-11-14T22:13:20Z", {"$gte", "$lte", "$eq"}),
        ("2023-11-14T22:13:20.001Z", {"$lt", "$lte"}),
        ("9999-12-31T00:00:00Z", {"$lt", "$lte"}),
    ],
)
async def test_a_memory_is_found_by_the_time_of_its_version(
    harness: IndexHarness, time: str, signs: set[str]
) -> None:
    await harness.write("a", {}, created_ms=1)
    every = ("$gt", "$gte", "$lt", "$lte", "$eq")
    found = {sign for sign in every if await harness.ids(asking({"updated_at": {sign: time}}))}
    assert found == signs


async def test_a_row_older_than_its_record_is_judged_by_the_record(harness: IndexHarness) -> None:
    await harness.write("a", {"tags": ["task"]})
    assert await harness.ids(asking({"tags": "task"})) == ["a"]
    await harness.write("a", {"tags": ["done"]})
    assert await harness.ids(asking({"tags": "task"}, fresh=False)) == []


async def test_a_store_answers_only_for_the_slots_it_is_told(harness: IndexHarness) -> None:
    names = [f"n-{i}" for i in range(40)]
    for name in names:
        await harness.write(name, {})
    shown = []
    for slot in range(SLOTS):
        of_slot = await harness.ids(asking(slots=1 << slot))
        assert all(slot_of("team", name, SLOTS) == slot for name in of_slot)
        shown += of_slot
    assert sorted(shown) == sorted(names)


@pytest.mark.parametrize("limits", [IndexLimits(examined_max=10)])
async def test_a_page_ends_where_it_has_cost_enough_and_the_next_goes_on(
    harness: IndexHarness,
) -> None:
    for i in range(25):
        await harness.write(f"n-{i:02}", {"metadata": {"last": i == 24}})
    where = {"metadata.last": True}
    first = await harness.ask(asking(where, limit=5))
    second = await harness.ask(asking(where, limit=5, after=first.end))
    third = await harness.ask(asking(where, limit=5, after=second.end))
    assert (first.candidates, second.candidates, third.end) == ([], [], None)
    assert [each.position[2] for each in third.candidates] == ["n-24"]


@pytest.mark.parametrize("limits", [IndexLimits(page_bytes_max=1000)])
async def test_a_page_of_large_records_ends_early(harness: IndexHarness) -> None:
    for name in ("a", "b", "c"):
        await harness.write(name, {"content": "x" * 600})
    page = await harness.ask(asking())
    assert page.end == (NOW_MS, "team", "b")
    assert await harness.ids(asking(after=page.end)) == ["c"]


async def test_own_writes_are_known_by_version_whether_they_live_or_not(
    harness: IndexHarness,
) -> None:
    await harness.ask(asking())  # what is written from here on comes by the feed, in order
    written = await harness.write("a", {})
    overwritten = await harness.write("b", {})
    await harness.write("b", {"content": "newer"})
    deleted = await harness.write("c", None)
    hashes = [key_hash("team", name) for name in "abc"]
    needs = list(zip(hashes, [written, overwritten, deleted], strict=True))
    assert (await harness.ask(asking(needs=needs))).unknown == ()
    later = make_version(Hlc(1 << 62), Origin(1))
    assert (await harness.ask(asking(needs=[(hashes[0], later)]))).unknown == (hashes[0],)
    assert (await harness.ask(asking(needs=[(77, written)]))).unknown == (77,)


async def test_an_own_write_counts_only_in_a_slot_the_store_answers_for(
    harness: IndexHarness,
) -> None:
    written = await harness.write("a", {})
    hashed = key_hash("team", "a")
    others = ALL_SLOTS & ~(1 << slot_of("team", "a", SLOTS))
    assert (await harness.ask(asking(needs=[(hashed, written)], slots=others))).unknown == (hashed,)


async def test_an_own_write_counts_only_where_it_is_indexed(harness: IndexHarness) -> None:
    await harness.write("a", {})
    await harness.ask(asking())
    needs = [(key_hash("team", "a"), await harness.write("a", {"content": "newer"}))]
    assert (await harness.ask(asking(needs=needs, fresh=False))).unknown == (needs[0][0],)
    assert (await harness.ask(asking(needs=needs))).unknown == ()


async def test_an_own_write_that_comes_behind_the_walk_does_not_count(tmp_path: Path) -> None:
    class OvertakenReaders(Readers):
        async def window(
            self, plan: QueryPlan, namespaces: Sequence[str], after: Position | None, rows: int
        ) -> list[Row]:
            found = await super().window(plan, namespaces, after, rows)
            await harness.put("team", "a", record_of({}, own))
            await harness.index._indexer.reach(harness.store.feed_head())
            return found

    async with opened_harness(tmp_path, ports=IndexPorts(readers=OvertakenReaders)) as harness:
        own = harness.stamp()
        page = await harness.ask(asking(needs=[(key_hash("team", "a"), own)]))
    assert (page.candidates, page.unknown) == ([], (key_hash("team", "a"),))


async def test_an_own_write_that_the_store_has_dropped_does_not_count(
    harness: IndexHarness,
) -> None:
    written = await harness.write("a", {})
    needs = [(key_hash("team", "a"), written)]
    assert (await harness.ask(asking(needs=needs))).unknown == ()
    await harness.store.submit(Adopt(b'{"epoch":4}', 4, StoreNumber(1), "cluster", frozenset()))
    await harness.store.submit(DropSlot(slot_of("team", "a", SLOTS), 4))
    assert (await harness.ask(asking(needs=needs))).unknown == (needs[0][0],)


@pytest.mark.parametrize("limits", [IndexLimits(remembered_max=2)])
async def test_an_own_write_that_the_index_does_not_remember_counts_as_unknown(
    harness: IndexHarness,
) -> None:
    await harness.ask(asking())  # what is written from here on comes by the feed, in order
    needs = [(key_hash("team", name), await harness.write(name, {})) for name in "abc"]
    assert (await harness.ask(asking(needs=needs))).unknown == (needs[0][0],)


async def test_a_sweep_forgets_what_the_store_has_dropped(harness: IndexHarness) -> None:
    await harness.write("a", {})
    await harness.write("b", {})
    await harness.ids(asking())
    slot = slot_of("team", "b", SLOTS)
    await harness.store.submit(Adopt(b'{"epoch":4}', 4, StoreNumber(1), "cluster", frozenset()))
    await harness.store.submit(DropSlot(slot, 4))
    assert await harness.index.sweep() == 1
    assert await harness.index.sweep() == 0
    assert await harness.ids(asking()) == ["a"]


class BusyReaders(Readers):
    """Readers of a file that another connection has locked."""

    async def addresses(self, after: int, rows: int) -> list[Address]:
        raise sqlite3.OperationalError(f"busy: {rows} behind {after}")


async def test_a_sweep_that_sqlite_ends_says_so_in_our_words(tmp_path: Path) -> None:
    async with opened_harness(tmp_path, ports=IndexPorts(readers=BusyReaders)) as harness:
        with pytest.raises(IndexUnreadableError):
            await harness.index.sweep()


async def test_a_sweep_into_a_file_that_could_not_be_made_says_so_as_well(
    harness: IndexHarness,
) -> None:
    await harness.write("a", {})
    await harness.ids(asking())
    slot = slot_of("team", "a", SLOTS)
    await harness.store.submit(Adopt(b'{"epoch":4}', 4, StoreNumber(1), "cluster", frozenset()))
    await harness.store.submit(DropSlot(slot, 4))
    await harness.index._indexer._on_thread(harness.index._indexer._file.close)
    with pytest.raises(IndexUnreadableError):
        await harness.index.sweep()


@pytest.mark.parametrize("number", [-(2**63), -(2**63) + 1, 2**63 - 1, 2**53 + 1])
async def test_integers_of_64_bits_are_found_exactly(harness: IndexHarness, number: int) -> None:
    await harness.write("it", {"metadata": {"n": number}})
    await harness.write("near", {"metadata": {"n": number - 1 if number > 0 else number + 1}})
    for test in ({"$eq": number}, {"$in": [number]}, {"$gte": number, "$lte": number}):
        assert await harness.ids(asking({"metadata.n": test})) == ["it"]
        await harness.write("other", {"metadata": {"n": 0}})
