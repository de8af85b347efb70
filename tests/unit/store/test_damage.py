"""Data files that are cut off or hold something else: refused before LMDB maps them, never a crash."""

import os
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import lmdb
import pytest

from spine_core.errors import CorruptRecordError
from spine_core.records.encoding import decode
from spine_node.store import StoreDamagedError, checksum
from spine_node.store.operations import DropSlot, MergePage
from spine_node.store.page_check import check_pages
from unit.store.harness import EPOCH, StoreHarness, at, key, put, record, rows, stored
from unit.store.test_adoption import NEXT

PAGE = 4096
SIZES = (10, 200, 1500, 3000, 9000)  # of bodies: in leaves, and on pages of their own


@pytest.fixture(scope="module")
def reader() -> Iterator[ProcessPoolExecutor]:
    """Another process, which may die of what it reads."""
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        yield pool


async def filled(harness: StoreHarness) -> dict[bytes, bytes]:
    """Fill a store until it has pages of every kind; return its records."""
    store = await harness.adopted()
    for number in range(14):
        page = [
            (key(slot, f"n{number:03}-{i}"), record(at(number), b"x" * SIZES[i]))
            for slot in range(3)
            for i in range(len(SIZES))
        ]
        for slot in range(3):
            await store.submit(
                MergePage(slot, EPOCH, stored([each for each in page if each[0][1] == slot]))
            )
    await store.submit(NEXT)
    assert not (await store.submit(DropSlot(0, EPOCH + 1))).more  # a free list
    for number in range(5):
        await harness.in_one_batch(
            store, [put(1, at(number), "again", raw=record(at(number), b"y" * 5000))] * 2
        )
    await store.submit(put(1, at(1), "long", raw=record(at(1), b"z" * 200_000)))  # the last pages
    found = rows(store)
    await store.close()
    return found


def read_all(path: Path) -> dict[bytes, bytes]:
    """Return every record of a file as LMDB reads it."""
    found: dict[bytes, bytes] = {}
    with (
        lmdb.open(str(path), max_dbs=8, readonly=True, lock=False) as environment,
        environment.begin() as txn,
    ):
        for name in (b"rec", b"reg", b"feed", b"slot", b"meta"):
            table = environment.open_db(name, txn=txn, create=False)
            held = dict(txn.cursor(db=table))
            if name == b"rec":
                found = held
    return found


async def test_a_whole_file_passes_however_it_was_written(harness: StoreHarness) -> None:
    kept = await filled(harness)
    check_pages(harness.path / "data.mdb")
    store = harness.open()
    assert rows(store) == kept
    await store.close(clean=False)
    check_pages(harness.path / "data.mdb")


async def test_a_cut_file_is_refused_wherever_it_is_cut_unless_nothing_is_missing(
    harness: StoreHarness, tmp_path: Path, reader: ProcessPoolExecutor
) -> None:
    kept = await filled(harness)
    data = (harness.path / "data.mdb").read_bytes()
    file = tmp_path / "cut" / "data.mdb"
    file.parent.mkdir()
    refused = 0
    file.write_bytes(data)
    for size in (*range(len(data) - PAGE, PAGE, -PAGE), 2 * PAGE - 1, PAGE, 100, 1):
        os.truncate(file, size)
        try:
            check_pages(file)
        except StoreDamagedError:
            refused += 1
            continue
        assert reader.submit(read_all, file.parent).result() == kept
    assert refused > 50


@pytest.mark.parametrize("odd", ["random", "another page of the file"])
async def test_a_page_of_something_else_is_refused_or_read_by_nobody(
    harness: StoreHarness, tmp_path: Path, reader: ProcessPoolExecutor, odd: str
) -> None:
    kept = await filled(harness)
    data = (harness.path / "data.mdb").read_bytes()
    draw = random.Random(1)
    file = tmp_path / "odd" / "data.mdb"
    file.parent.mkdir()
    refused = 0
    file.write_bytes(data)
    for page in range(len(data) // PAGE):
        overwrite(file, page - 1, data[(page - 1) * PAGE : page * PAGE] if page else b"")
        other = draw.randrange(len(data) // PAGE) * PAGE
        overwrite(file, page, draw.randbytes(PAGE) if odd == "random" else data[other:][:PAGE])
        try:
            check_pages(file)
        except StoreDamagedError:
            refused += 1
            continue
        found = reader.submit(read_all, file.parent).result()
        assert found.keys() == kept.keys()
        assert all(is_known_damage(found[where]) for where in kept if found[where] != kept[where])
    assert refused > 50


def overwrite(file: Path, page: int, content: bytes) -> None:
    """Put something else in the place of a page."""
    with file.open("r+b") as opened:
        opened.seek(max(0, page) * PAGE)
        opened.write(content)


def is_known_damage(raw: bytes) -> bool:
    """Tell whether a record's own checksum finds that it is not what was written."""
    try:
        decode(raw, checksum)
    except CorruptRecordError:
        return True
    return False


async def test_a_start_reads_all_branches_and_so_many_leaves(
    harness: StoreHarness, tmp_path: Path
) -> None:
    await filled(harness)
    whole = (harness.path / "data.mdb").read_bytes()
    file = tmp_path / "file"
    refused: dict[int, set[int]] = {0: set(), 1000: set()}  # most leaves → pages it cannot lose
    file.write_bytes(whole)
    for page in range(2, len(whole) // PAGE):
        overwrite(file, page - 1, whole[(page - 1) * PAGE : page * PAGE])
        overwrite(file, page, bytes(PAGE))
        for leaves_max, pages in refused.items():
            try:
                check_pages(file, leaves_max)
            except StoreDamagedError:
                pages.add(page)
    branches = {page for page in refused[1000] if whole[page * PAGE + 10] == 1}
    assert len(branches) >= 1
    assert branches < refused[0] < refused[1000]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not a store" * 1000, "it does not begin as a store does"),
        (b"x", "its head is cut off"),
        (bytes(8192), "it does not begin as a store does"),
    ],
)
async def test_a_file_that_is_no_store_is_refused_and_left_alone(
    harness: StoreHarness, content: bytes, said: str
) -> None:
    harness.path.mkdir()
    file = harness.path / "data.mdb"
    file.write_bytes(content)
    with pytest.raises(StoreDamagedError, match=said):
        harness.open()
    assert file.read_bytes() == content


async def test_an_empty_file_is_a_new_store(harness: StoreHarness) -> None:
    harness.path.mkdir()
    (harness.path / "data.mdb").touch()
    store = harness.open()
    assert store.identity.boot == 1
    await store.close()


async def test_a_table_that_says_nonsense_is_refused(harness: StoreHarness) -> None:
    await (await harness.adopted()).close()
    with lmdb.open(str(harness.path), max_dbs=8) as environment:
        table = environment.open_db(b"meta")
        with environment.begin(write=True, db=table) as txn:
            txn.put(b"cluster_id", b"\xff\xfe")
    with pytest.raises(StoreDamagedError, match="its tables say nonsense"):
        harness.open()
