"""Whether the data file is whole: looked at with `read`, before LMDB maps it into memory.

A page that a mapped file lacks kills the process by SIGBUS, and one that holds something else leads
LMDB anywhere. So every page that the newest commit reaches must lie in the file, carry its own number
and be of the kind that its parent says. A file may lawfully end before the last page that LMDB counts
(pages that one transaction took and gave back are never written), so a short file is walked whole; of
a long one all branch pages are, and leaves up to a bound. What records hold has their own checksums.
Source: LMDB 0.9, mdb.c (MDB_page, MDB_meta, MDB_db, MDB_node), little-endian, 64 bit.
"""

import os
import struct
from collections import deque
from pathlib import Path
from typing import Final, NamedTuple

from spine_node.store.errors import StoreDamagedError

LEAVES_MAX: Final = 100_000  # read at every start: 400 MB and about a second

_HEADER: Final = struct.Struct("<QHHHH")  # number, pad, flags, lower, upper
_META: Final = struct.Struct("<II16x")  # magic, version, address and size of the map
_TREE: Final = struct.Struct("<IHHQQQQQ")  # pad, flags, depth, 3 counts of pages, entries, root
_ENDS: Final = struct.Struct("<QQ")  # last page, transaction
_NODE: Final = struct.Struct("<HHHH")  # low, high, flags, key size
_PAGE_NUMBER: Final = struct.Struct("<Q")
_MAGIC: Final = 0xBEEFC0DE
_VERSION: Final = 1
_BRANCH, _LEAF, _OVERFLOW, _META_PAGE = 0x01, 0x02, 0x04, 0x08
_BIG_DATA, _SUB_TREE = 0x01, 0x02
_NO_ROOT: Final = 2**64 - 1
_FIRST_PAGE: Final = 2  # behind the two meta pages
_META_BYTES: Final = _HEADER.size + _META.size + 2 * _TREE.size + _ENDS.size


class _Tree(NamedTuple):
    """One B+ tree of the file."""

    root: int
    depth: int


class _Meta(NamedTuple):
    """One of the two meta pages."""

    page_bytes: int
    trees: tuple[_Tree, ...]  # the free list, and the tree of tables
    last_page: int
    transaction: int


def check_pages(path: Path, leaves_max: int = LEAVES_MAX) -> None:
    """Check a data file; a missing or empty one is a new store's.

    Raises:
        StoreDamagedError: it is cut off, or something else stands in it.
    """
    if not path.exists() or path.stat().st_size == 0:
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _Walk(path, descriptor, leaves_max).run()
    finally:
        os.close(descriptor)


class _Walk:
    """One reading of one file, level by level, so that branches come before leaves."""

    def __init__(self, path: Path, descriptor: int, leaves_max: int) -> None:
        self._path, self._descriptor = path, descriptor
        self._size = os.fstat(descriptor).st_size
        self._meta = self._newest_meta()
        self._page_bytes = self._meta.page_bytes
        whole = self._size >= (self._meta.last_page + 1) * self._page_bytes
        self._leaves_left = leaves_max if whole else self._size  # more than there can be
        # page, levels down to the leaves, whether these lead to the trees of tables
        self._queue: deque[tuple[int, int, bool]] = deque()

    def run(self) -> None:
        """Look at everything."""
        free_list, tables = self._meta.trees
        self._enter(free_list)
        self._enter(tables, of_tables=True)
        while self._queue:
            number, levels, of_tables = self._queue.popleft()
            if levels > 1:
                self._branch(number, levels, of_tables=of_tables)
            elif of_tables or self._leaves_left > 0:
                self._leaves_left -= 1
                self._leaf(number)

    def _newest_meta(self) -> _Meta:
        first = self._read_meta(0)
        return max(first, self._read_meta(first.page_bytes), key=lambda meta: meta.transaction)

    def _read_meta(self, offset: int) -> _Meta:
        data = os.pread(self._descriptor, _META_BYTES, offset)
        if len(data) < _META_BYTES:
            raise self._damaged("its head is cut off")
        number, _, flags, _, _ = _HEADER.unpack_from(data)
        magic, version = _META.unpack_from(data, _HEADER.size)
        if not flags & _META_PAGE or magic != _MAGIC:
            raise self._damaged("it does not begin as a store does")
        if version != _VERSION:
            raise self._damaged(f"it is of LMDB's format {version}, not {_VERSION}")
        at = _HEADER.size + _META.size
        page_bytes = _TREE.unpack_from(data, at)[0]
        if page_bytes not in {1 << bits for bits in range(9, 17)}:
            raise self._damaged("its head says nonsense")
        if number * page_bytes != offset:
            raise self._damaged(f"page {offset // page_bytes} holds something else")
        trees = tuple(_tree(data, at + n * _TREE.size) for n in range(2))
        return _Meta(page_bytes, trees, *_ENDS.unpack_from(data, at + 2 * _TREE.size))

    def _enter(self, tree: _Tree, *, of_tables: bool = False) -> None:
        if tree.root != _NO_ROOT:
            self._expect(tree.root, 1)
            self._queue.append((tree.root, tree.depth, of_tables))

    def _branch(self, number: int, levels: int, *, of_tables: bool) -> None:
        page = self._page(number, _BRANCH)
        for at in self._nodes(number, page):
            low, high, top, _ = _NODE.unpack_from(page, at)
            child = low | high << 16 | top << 32
            self._expect(child, 1)
            self._queue.append((child, levels - 1, of_tables))

    def _leaf(self, number: int) -> None:
        page = self._page(number, _LEAF)
        for at in self._nodes(number, page):
            low, high, flags, key_bytes = _NODE.unpack_from(page, at)
            size, start = low | high << 16, at + _NODE.size + key_bytes
            held = _PAGE_NUMBER.size if flags & _BIG_DATA else size
            if start + held > self._page_bytes:
                raise self._damaged(f"page {number} holds something else")
            if flags & _BIG_DATA:
                self._overflow(_PAGE_NUMBER.unpack_from(page, start)[0], size)
            elif flags & _SUB_TREE and held == _TREE.size:
                self._enter(_tree(page, start))

    def _overflow(self, number: int, size: int) -> None:
        pages = (_HEADER.size - 1 + size) // self._page_bytes + 1
        self._expect(number, pages)
        head = os.pread(self._descriptor, _HEADER.size, number * self._page_bytes)
        found, _, flags, low, high = _HEADER.unpack(head)
        if (found, flags, low | high << 16) != (number, _OVERFLOW, pages):
            raise self._damaged(f"page {number} holds something else")

    def _page(self, number: int, kind: int) -> bytes:
        page = os.pread(self._descriptor, self._page_bytes, number * self._page_bytes)
        found, _, flags, lower, upper = _HEADER.unpack_from(page)
        sound = _HEADER.size <= lower <= upper <= self._page_bytes
        if (found, flags) != (number, kind) or not sound:
            raise self._damaged(f"page {number} holds something else")
        return page

    def _nodes(self, number: int, page: bytes) -> tuple[int, ...]:
        """Return where the nodes of a page begin."""
        _, _, _, lower, upper = _HEADER.unpack_from(page)
        count = (lower - _HEADER.size) // 2
        starts: tuple[int, ...] = struct.unpack_from(f"<{count}H", page, _HEADER.size)
        if count and (min(starts) < upper or max(starts) > self._page_bytes - _NODE.size):
            raise self._damaged(f"page {number} holds something else")
        return starts

    def _expect(self, number: int, pages: int) -> None:
        """A page that something leads to must be one that LMDB counts, and in the file."""
        if not _FIRST_PAGE <= number <= self._meta.last_page:
            raise self._damaged(f"something leads to page {number}, which it does not have")
        if (number + pages) * self._page_bytes > self._size:
            raise self._damaged(f"it is cut off before page {number}")

    def _damaged(self, why: str) -> StoreDamagedError:
        return StoreDamagedError(self._path, why)


def _tree(data: bytes, at: int) -> _Tree:
    _, _, depth, _, _, _, _, root = _TREE.unpack_from(data, at)
    return _Tree(root, depth)
