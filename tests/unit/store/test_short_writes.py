"""A disk that is full for a while, as LMDB meets it: short writes, errors of the real kernel.

The limit on the size of files makes the kernel answer as a full disk does: the write that reaches
it comes back short, LMDB makes EIO of that, and the next one fails with an error of its own.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from spine_core.replication.put_rules import PutKind
from spine_core.replication.replica_status import ReplicaStatus
from spine_node.store import StorageFullError, Store, StoreClosedError
from spine_node.store.operations import Barrier, Put, PutReply
from spine_node.store.space import (
    GROWTH_BYTES,
    LOW_BYTES,
    LOW_PART,
    OUT_BYTES,
    OUT_PART,
    Cause,
    FileSystem,
    Space,
)
from unit.store.harness import StoreHarness, at, limited_to, put, record, refused, rows, tombstone

LIMIT = 3 * 1024 * 1024 + 1000  # inside a page: the last write of it is short
BODY = b"x" * 3000


def large(number: int) -> Put:
    return put(1, at(number), f"n{number:04}", raw=record(at(number), BODY))


async def fill(store: Store) -> set[bytes]:
    """Write until a record is refused; return the keys of the others."""
    held = set[bytes]()
    for number in range(2000):
        operation = large(number)
        reply = await store.submit(operation)
        if reply.of(0) is ReplicaStatus.FULL:
            return held
        assert reply == PutReply()
        held.add(operation.records[0].key)
    raise AssertionError("never full")


def is_full(store: Store) -> bool:
    return store.is_full


async def looked_again(store: Store) -> None:
    """Let the writer see how much space is left."""
    store.check_space()
    await store.submit(Barrier())


async def test_writes_refused_by_a_full_disk_are_taken_again_when_it_has_space(
    harness: StoreHarness,
) -> None:
    store = await harness.adopted()
    with limited_to(LIMIT):
        held = await fill(store)
        assert (store.failure, is_full(store)) == (None, True)
        assert set(rows(store)) == held  # reads go on
        await looked_again(store)
        assert is_full(store)
    await looked_again(store)
    assert not is_full(store)
    assert await store.submit(large(1999)) == PutReply()
    await store.close()
    again = harness.open()
    assert again.identity.was_clean
    assert set(rows(again)) == held | {large(1999).records[0].key}
    await again.close()


async def test_a_store_on_a_full_disk_closes_and_opens_again(harness: StoreHarness) -> None:
    store = await harness.adopted()
    with limited_to(LIMIT):
        held = await fill(store)
        await store.close()
        again = harness.open()
        assert set(rows(again)) == held
        assert (again.failure, again.epoch) == (None, store.epoch)
        await again.close()


async def test_a_disk_that_takes_nothing_lets_a_store_close_and_says_what_hinders_the_next(
    harness: StoreHarness,
) -> None:
    store = await harness.adopted()
    await store.submit(put(1, at(1)))
    kept = rows(store)
    with limited_to(0):
        await store.close()
        with pytest.raises(StorageFullError, match="its disk is full: make space there"):
            harness.open()
    again = harness.open()
    assert (rows(again), again.identity.was_clean) == (kept, False)
    await again.close()


class ScriptedDisk:
    """A file system that says what it is told to say."""

    def __init__(self) -> None:
        self.left = Space.FREE
        self.reusable_bytes = 0
        self.causes: list[Cause] = []
        self.asked: list[tuple[int | None, int]] = []

    def space(self, reusable_bytes: int) -> Space:
        self.reusable_bytes = reusable_bytes
        return self.left

    def recheck(self) -> None:
        return

    def cause(self, code: int | None, needed_bytes: int) -> Cause:
        self.asked.append((code, needed_bytes))
        return self.causes.pop(0)

    def close(self) -> None:
        return


@pytest.fixture
def disk(harness: StoreHarness) -> ScriptedDisk:
    scripted = ScriptedDisk()

    def scripted_disk(_file: Path, _used: Callable[[], int]) -> ScriptedDisk:
        return scripted

    harness.disk_of = scripted_disk
    return scripted


def failure(code: int) -> lmdb.Error:
    error = lmdb.Error(os.strerror(code))
    vars(error)["code"] = code
    return error


async def test_a_short_write_is_written_again_at_once_if_space_has_come_back(
    harness: StoreHarness, disk: ScriptedDisk
) -> None:
    store = await harness.adopted()
    disk.causes = [Cause.PASSED]
    replies = await harness.in_one_batch(
        store, [put(1, at(1)), put(2, at(1))], disk=failure(errno.EIO)
    )
    assert replies == [PutReply(), PutReply()]
    assert (disk.asked, store.feed_head()) == ([(errno.EIO, GROWTH_BYTES)], 2)
    await store.close()


async def test_a_disk_that_has_space_and_fails_is_broken(
    harness: StoreHarness, disk: ScriptedDisk
) -> None:
    store = await harness.adopted()
    disk.causes = [Cause.PASSED] * 4
    harness.gate.failures.update(dict.fromkeys(range(3, 8), failure(errno.EIO)))
    replies = await harness.in_one_batch(store, [put(1, at(1))])
    assert [type(reply) for reply in replies] == [StoreClosedError]
    assert disk.asked == [(errno.EIO, GROWTH_BYTES * 4**n) for n in range(4)]
    assert "has space, and fails" in str(store.failure)
    await store.close()


async def test_a_disk_filled_by_others_turns_clients_away_and_takes_them_again(
    harness: StoreHarness, disk: ScriptedDisk
) -> None:
    store = await harness.adopted()
    assert not is_full(store)
    disk.left = Space.LOW
    await looked_again(store)
    assert is_full(store)
    assert await store.submit(put(1, at(1))) == refused(ReplicaStatus.FULL)
    assert await store.submit(put(1, at(1), kind=PutKind.WRITE_BACK)) == PutReply()
    assert await store.submit(put(1, at(2), raw=tombstone(at(2)))) == PutReply()
    disk.left = Space.OUT
    assert await store.submit(put(2, at(1), kind=PutKind.WRITE_BACK)) == refused(ReplicaStatus.FULL)
    disk.left = Space.FREE
    await looked_again(store)
    assert not is_full(store)
    assert await store.submit(put(1, at(3))) == PutReply()
    await store.close()


async def test_what_was_deleted_counts_as_space(harness: StoreHarness, disk: ScriptedDisk) -> None:
    store = await harness.adopted()
    for number in range(50):
        await store.submit(large(number))
    before = disk.reusable_bytes
    for number in range(50):
        await store.submit(put(1, at(100), f"n{number:04}", raw=tombstone(at(100))))
    await store.submit(Barrier())
    assert disk.reusable_bytes - before > 50 * len(BODY) // 2
    await store.close()


# ---- the file system itself


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(8192))
    return path


def test_every_error_that_means_no_space_is_one(file: Path) -> None:
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        system = FileSystem(file, lambda: 8192)
        assert system.cause(code, GROWTH_BYTES) is Cause.FULL
        assert system.space(0) is Space.OUT
        system.recheck()
        assert system.space(0) is Space.FREE
        system.close()


@pytest.mark.parametrize("code", [None, errno.EROFS, errno.ENOMEM, lmdb.version()[0]])
def test_every_other_error_is_a_broken_disk(file: Path, code: int | None) -> None:
    system = FileSystem(file, lambda: 8192)
    assert system.cause(code, GROWTH_BYTES) is Cause.BROKEN
    system.close()


def test_a_failed_write_is_a_full_disk_only_where_the_file_cannot_grow(file: Path) -> None:
    system = FileSystem(file, lambda: 8192)
    with limited_to(8192 + GROWTH_BYTES // 2):
        assert system.cause(errno.EIO, GROWTH_BYTES) is Cause.FULL
        system.recheck()
        assert system.space(0) is Space.OUT
    assert system.cause(errno.EIO, GROWTH_BYTES) is Cause.PASSED
    assert system.space(0) is Space.FREE
    system.close()


def test_a_disk_that_lost_what_it_was_given_is_broken_however_full_it_is(file: Path) -> None:
    def failing(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    system = FileSystem(file, lambda: 8192, failing)
    with limited_to(8192):
        assert system.cause(errno.EIO, GROWTH_BYTES) is Cause.BROKEN
    system.close()


def test_space_is_what_is_free_and_what_can_be_used_again(file: Path) -> None:
    stat = os.statvfs(file)
    free, total = stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize
    assert free > min(LOW_BYTES, total // LOW_PART), "the disk of this test is full"
    system = FileSystem(file, lambda: 8192)
    assert system.space(0) is Space.FREE
    assert system.space(-free) is Space.OUT
    assert system.space(min(OUT_BYTES, total // OUT_PART) * 2 - free) is Space.LOW
    system.close()
