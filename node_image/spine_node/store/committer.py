"""A batch in, durable effects out: the transaction around the operations. Writer thread only.

Invariant: when `perform` returns, everything it returns is fsynced; when it raises, nothing of the
batch is acknowledged and `state` is what the store says. Nothing that a later commit needs can be in
the pages of one that failed: LMDB's tree of the last good one does not lead there.
"""

from collections.abc import Callable, Sequence

import lmdb

from spine_core.records.hlc import HybridClock
from spine_node.store.draft import Draft, Effects
from spine_node.store.errors import StorageError, StorageFullError
from spine_node.store.execution import execute
from spine_node.store.layout import Database, Transaction
from spine_node.store.operations import Operation
from spine_node.store.space import GROWTH_BYTES, Cause, Disk, Space, space_in_quota, used_in_all
from spine_node.store.state import State

ATTEMPTS = 4  # with space for 1, 4, 16 and 64 MiB: more than any batch writes

Failpoint = Callable[[str], None]  # told the name of the instant that is reached


class Committer:
    """The writing side of an open environment."""

    def __init__(
        self,
        database: Database,
        *,
        clock: HybridClock,
        physical_ms: Callable[[], int],
        quota_bytes: int,
        disk: Disk,
        failpoint: Failpoint,
    ) -> None:
        self._environment, self._tables = database
        self._clock = clock
        self._physical_ms = physical_ms
        self._quota_bytes = quota_bytes
        self.disk = disk
        self._failpoint = failpoint
        self.state = self._load()
        with self._environment.begin() as txn:
            self._page_bytes = txn.stat(self._tables.rec)["psize"]
            self.space = self._space(txn)

    def _load(self) -> State:
        with self._environment.begin() as txn:
            return State.load(txn, self._tables)

    def space_on_disk(self) -> Space:
        """Return how much the file system has left now; for any thread."""
        return self.disk.space(self._reusable)

    def _space(self, txn: Transaction) -> Space:
        """Return what is left of the quota and of the disk, whichever is less."""
        used = used_in_all(txn, self._tables)
        pages = self._environment.info()["last_pgno"] + 1
        self._reusable = max(0, pages * self._page_bytes - used)
        return max(self.space_on_disk(), space_in_quota(used, self._quota_bytes))

    def perform(self, batch: Sequence[Operation]) -> tuple[Sequence[object], Effects]:
        """Apply a batch in order, as one transaction, and make it durable.

        Raises:
            StorageFullError: it does not fit; the next batch may.
            StorageError: the disk failed; what it holds must be read anew by a new process.
        """
        for attempt in range(ATTEMPTS):
            try:
                return self._commit(batch)
            except lmdb.Error as error:
                failed = error
                if self._after(error, attempt) is Cause.FULL:
                    message = f"no space for a batch of {len(batch)}: {error}"
                    raise StorageFullError(message) from error
        raise StorageError(f"the disk has space, and fails: {failed}") from failed

    def _after(self, error: lmdb.Error, attempt: int) -> Cause:
        """Return to the state before a failed batch; say whether there may be another one.

        Raises:
            StorageError: there may not.
        """
        try:
            self.state = self._load()
        except lmdb.Error as panic:  # a meta page was half written: LMDB itself gives up
            raise StorageError(f"the disk failed: {error}; {panic}") from error
        if isinstance(error, lmdb.MapFullError):
            cause = Cause.FULL
        else:
            code: int | None = getattr(error, "code", None)  # only LMDB's own errors have one
            cause = self.disk.cause(code, GROWTH_BYTES * 4**attempt)
        if cause is Cause.BROKEN:
            raise StorageError(f"the disk failed: {error}") from error
        if cause is Cause.FULL:
            self.space = Space.OUT
        return cause

    def _commit(self, batch: Sequence[Operation]) -> tuple[Sequence[object], Effects]:
        self.disk.recheck()
        with self._environment.begin(write=True, db=self._tables.rec) as txn:
            self.space = self._space(txn)
            draft = Draft(
                txn,
                self._tables,
                self.state,
                now_hlc=self._clock.peek(self._physical_ms()),
                quota_bytes=self._quota_bytes,
                space=self.space,
            )
            replies = [execute(draft, operation) for operation in batch]
            effects = draft.seal(self._clock.last)
            self._failpoint("before-commit")
        self._failpoint("after-commit")
        return replies, effects
