"""How much space a store has left, and whether a failed write means that the disk is full.

LMDB gives up a commit with EIO both when a write came back short, which is how many full disks
answer, and when the disk is broken. The first passes and the second does not, so the kernel is asked
again: whether writing back failed, and whether the file can still grow. Writer thread only.
"""

import errno
import os
import time
from collections.abc import Callable
from enum import Enum, IntEnum
from pathlib import Path
from typing import Final, Protocol

from spine_node.store.layout import Table, Tables, Transaction

LOW_SHARE = 0.90  # of the quota
OUT_SHARE = 0.97
# Of the file system, whoever fills it: deletions, the index's log (32 MB) and LMDB's own pages still
# have to fit. On a small one these shares of it are kept instead.
LOW_BYTES = 64 * 1024 * 1024
OUT_BYTES = 16 * 1024 * 1024
LOW_PART = 8
OUT_PART = 32
ASK_S = (
    0.1  # a commit takes a few ms and needs no fresh answer: what it writes is far below LOW_BYTES
)
GROWTH_BYTES = 1024 * 1024  # a file that could not grow must be able to grow by this

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Space(IntEnum):
    """How much is left to write into."""

    FREE = 0
    LOW = 1  # no clients' writes
    OUT = 2  # only what frees pages


class Cause(Enum):
    """Why a commit failed."""

    FULL = "the disk is full"
    PASSED = "the disk was full and has space again"
    BROKEN = "the disk is broken"


class Disk(Protocol):
    """The file system below a store."""

    def space(self, reusable_bytes: int) -> Space:
        """Return how much is left, with what the data file has given up and not given back."""

    def recheck(self) -> None:
        """Find out whether a file that could not grow can do so again; may write."""

    def cause(self, code: int | None, needed_bytes: int) -> Cause:
        """Return why a commit that may have needed some space failed with an error number."""

    def close(self) -> None:
        """Give up what is held open."""


class FileSystem:
    """The real one, by the data file of an open store."""

    def __init__(
        self,
        data_file: Path,
        used_bytes: Callable[[], int],
        fsync: Callable[[int], None] = os.fsync,
    ) -> None:
        # Our own descriptor since before the first commit: a failed write-back is reported once to
        # each, and LMDB tells nobody that it was one.
        self._descriptor = os.open(data_file, os.O_WRONLY | os.O_CLOEXEC)
        self._used_bytes = used_bytes  # of the data file by the newest commit
        self._fsync = fsync
        self._stuck = False  # the file could not grow
        self._asked_at, self._stat = time.monotonic(), os.fstatvfs(self._descriptor)

    def space(self, reusable_bytes: int) -> Space:
        """Return how much is left: nothing while the file cannot grow.

        The data file never shrinks, so what was deleted counts; the index grows beside it, and needs
        some of the file system itself.
        """
        if self._stuck:
            return Space.OUT
        now = time.monotonic()
        if now - self._asked_at >= ASK_S:
            self._asked_at, self._stat = now, os.fstatvfs(self._descriptor)
        stat = self._stat
        free, total = stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize
        low, out = min(LOW_BYTES, total // LOW_PART), min(OUT_BYTES, total // OUT_PART)
        if free + reusable_bytes < out:
            return Space.OUT
        return Space.LOW if free + reusable_bytes < low or free < out else Space.FREE

    def recheck(self) -> None:
        """Try to grow a file that could not."""
        if self._stuck:
            self._stuck = not self._can_grow(GROWTH_BYTES)

    def cause(self, code: int | None, needed_bytes: int) -> Cause:
        """Tell a short write from a broken disk; only the first may be followed by another commit."""
        if code in NO_SPACE:
            self._stuck = True
            return Cause.FULL
        if code != errno.EIO or not self._was_written_back():
            return Cause.BROKEN
        self._stuck = not self._can_grow(needed_bytes)
        return Cause.FULL if self._stuck else Cause.PASSED

    def close(self) -> None:
        """Close our descriptor."""
        os.close(self._descriptor)

    def _was_written_back(self) -> bool:
        """After a failed fsync the kernel takes lost pages for written; no second one may be believed.

        Source: Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020.
        """
        try:
            self._fsync(self._descriptor)
        except OSError as error:
            return error.errno in NO_SPACE
        return True

    def _can_grow(self, by: int) -> bool:
        """Give every page up to there its block; what LMDB left out as never written has none."""
        try:
            os.posix_fallocate(self._descriptor, 0, self._used_bytes() + by)
        except OSError as error:
            if error.errno in NO_SPACE:
                return False
            return self._has_free(by)  # no such call on this file system
        return True

    def _has_free(self, needed: int) -> bool:
        stat = os.fstatvfs(self._descriptor)
        return stat.f_bavail * stat.f_frsize > needed


def space_in_quota(used: int, quota_bytes: int) -> Space:
    """Return how much of the quota is left."""
    if used >= quota_bytes * OUT_SHARE:
        return Space.OUT
    return Space.LOW if used >= quota_bytes * LOW_SHARE else Space.FREE


def used_in_all(txn: Transaction, tables: Tables) -> int:
    """Return the pages in use by the tables that grow."""
    return sum(used_bytes(txn, table) for table in (tables.rec, tables.reg, tables.feed))


def used_bytes(txn: Transaction, table: Table) -> int:
    """Return the pages in use; what LMDB keeps on its free list can be written again."""
    stat = txn.stat(table)
    return stat["psize"] * (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"])
