"""A batch in, durable effects out: the transaction around the operations. Writer thread only.

Invariant: when `perform` returns, everything it returns is fsynced; when it raises, nothing of the
batch is on disk and `state` is what the disk says.
"""

from collections.abc import Callable, Sequence

import lmdb

from spine_core.records.hlc import HybridClock
from spine_node.store.draft import Draft, Effects
from spine_node.store.errors import StorageError, StorageFullError
from spine_node.store.execution import execute
from spine_node.store.layout import Tables
from spine_node.store.operations import Operation
from spine_node.store.state import State

Failpoint = Callable[[str], None]  # told the name of the instant that is reached


class Committer:
    """The writing side of an open environment."""

    def __init__(
        self,
        environment: lmdb.Environment,
        tables: Tables,
        *,
        clock: HybridClock,
        physical_ms: Callable[[], int],
        quota_bytes: int,
        failpoint: Failpoint,
    ) -> None:
        self._environment = environment
        self._tables = tables
        self._clock = clock
        self._physical_ms = physical_ms
        self._quota_bytes = quota_bytes
        self.failpoint = failpoint
        self.state = self._load()

    def _load(self) -> State:
        with self._environment.begin() as txn:
            return State.load(txn, self._tables)

    def perform(self, batch: Sequence[Operation]) -> tuple[Sequence[object], Effects]:
        """Apply a batch in order, as one transaction, and make it durable.

        Raises:
            StorageFullError: it does not fit; the next batch may.
            StorageError: the disk failed; what it holds must be read anew by a new process.
        """
        try:
            return self._commit(batch)
        except (lmdb.MapFullError, lmdb.DiskError) as error:
            self.state = self._load()
            raise StorageFullError(f"no room for a batch of {len(batch)}: {error}") from error
        except lmdb.Error as error:
            raise StorageError(f"the disk failed: {error}") from error

    def _commit(self, batch: Sequence[Operation]) -> tuple[Sequence[object], Effects]:
        with self._environment.begin(write=True, db=self._tables.rec) as txn:
            draft = Draft(
                txn,
                self._tables,
                self.state,
                now_hlc=self._clock.peek(self._physical_ms()),
                quota_bytes=self._quota_bytes,
            )
            replies = [execute(draft, operation) for operation in batch]
            effects = draft.seal(self._clock.last)
            self.failpoint("before-commit")
        self.failpoint("after-commit")
        return replies, effects
