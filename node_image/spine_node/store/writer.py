"""The one writer thread: queue → everything queued → one transaction → fsync → back on the loop.

Batches size themselves: while one commit waits for the disk, the next batch gathers; there is no
timer. On the loop a commit's effects are published first, then its futures resolve in queue order,
so whoever is acknowledged finds digests and feed already there. Source: protocol.md §15, §20 (1, 14).
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from spine_core.replication.replica_status import ReplicaStatus
from spine_node.store.errors import (
    StorageError,
    StorageFullError,
    StoreBusyError,
    StoreClosedError,
)
from spine_node.store.operations import (
    Accept,
    AcceptReply,
    Asked,
    FinishPull,
    Learn,
    MergePage,
    MergeReply,
    Operation,
    Prepare,
    PrepareReply,
    Put,
    PutReply,
    ReplyT,
)
from spine_node.threads import show_thread_name

BATCH_MAX = 256  # operations of one transaction
WAITING_MAX = 20_000  # operations in the queue; the engine sheds load long before
WAITING_BYTES_MAX = 64 * 1024 * 1024  # the same for records to be put: a disk may hang
REFUSALS_TOLD_S = 60.0  # a full disk refuses commit after commit, and says so once in this time

Effect = TypeVar("Effect")
Effect_co = TypeVar("Effect_co", covariant=True)
Perform = Callable[[Sequence[Operation]], tuple[Sequence[object], Effect]]

logger = logging.getLogger(__name__)


class StoreWriter(Protocol[Effect_co]):
    """What a store asks of its writer: the thread below, or one on the virtual time of a test."""

    @property
    def failure(self) -> StorageError | None:
        """Why the writer ended by itself; None while it works."""

    def start(self, publish: Callable[[Effect_co], None]) -> None:
        """Begin to work; `publish` is told of each commit before its operations are answered."""

    def submit(self, operation: Asked[ReplyT]) -> asyncio.Future[ReplyT]:
        """Queue an operation."""

    async def close(self) -> None:
        """Finish what is queued and end."""


class Writer(Generic[Effect]):
    """Owner of the writer thread.

    `perform` runs there: it applies a batch, makes it durable and returns its replies and effects,
    or raises StorageFullError with nothing changed, or StorageError, which ends the writer: after a
    failed fsync nobody knows what the disk holds. `publish` runs on the loop.
    """

    def __init__(
        self,
        perform: Perform[Effect],
        failpoint: Callable[[str], None],
        *,
        waiting_max: int = WAITING_MAX,
        waiting_bytes_max: int = WAITING_BYTES_MAX,
    ) -> None:
        self._perform = perform
        self._failpoint = failpoint
        self._waiting_max, self._waiting_bytes_max = waiting_max, waiting_bytes_max
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Operation | None] = SimpleQueue()  # None ends the thread
        # loop only; in queue order, with the bytes of records that a put holds in memory
        self._waiting: deque[tuple[asyncio.Future[Any], int]] = deque()
        self._waiting_bytes = 0
        self._ended = asyncio.Event()
        self._failure: StorageError | None = None
        self._closed = False
        self._told_at = -REFUSALS_TOLD_S  # when a refused commit was last logged
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self, publish: Callable[[Effect], None]) -> None:
        """Begin to work; `publish` is told of each commit on the loop."""
        self._publish = publish
        self._thread.start()

    @property
    def failure(self) -> StorageError | None:
        """Why the writer ended by itself; None while it works."""
        return self._failure

    def submit(self, operation: Asked[ReplyT]) -> asyncio.Future[ReplyT]:
        """Queue an operation; its future resolves when the reply is durable.

        Cancelling the future does not take the operation back.

        Raises:
            StoreBusyError: too many wait.
            StoreClosedError: the writer has ended or is about to.
        """
        if self._closed or self._ended.is_set():
            raise StoreClosedError("the store takes no more writes") from self._failure
        size = _bytes_of(operation)
        if (
            len(self._waiting) >= self._waiting_max
            or self._waiting_bytes + size > self._waiting_bytes_max
        ):
            raise StoreBusyError(f"{len(self._waiting)} operations wait for the disk")
        future: asyncio.Future[ReplyT] = self._loop.create_future()
        self._waiting.append((future, size))
        self._waiting_bytes += size
        self._queue.put(operation)
        return future

    async def close(self) -> None:
        """Finish what is queued, then end the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await self._ended.wait()

    def _run(self) -> None:
        show_thread_name()
        failure: StorageError | None = StorageError("the writer met a bug; see its traceback")
        try:
            while (batch := self._take()) is not None:
                replies, effect = self._attempt(batch)
                self._failpoint("before-acknowledging")
                self._loop.call_soon_threadsafe(self._deliver, replies, effect)
            failure = None
        except StorageError as error:
            failure = error
        finally:
            self._loop.call_soon_threadsafe(self._end, failure)

    def _take(self) -> list[Operation] | None:
        """Wait for one operation, take what is queued behind it; None at the end."""
        operation = self._queue.get()
        batch: list[Operation] = []
        while operation is not None:
            batch.append(operation)
            if len(batch) == BATCH_MAX:
                return batch
            try:
                operation = self._queue.get_nowait()
            except Empty:
                return batch
        if batch:
            self._queue.put(None)  # nothing is queued behind the end
        return batch or None

    def _attempt(self, batch: Sequence[Operation]) -> tuple[Sequence[object], Effect | None]:
        try:
            return self._perform(batch)
        except StorageFullError as error:
            now = self._loop.time()
            if now - self._told_at >= REFUSALS_TOLD_S:
                self._told_at = now
                logger.warning("commit_refused", extra={"error": str(error)})
            return [_full(operation, error) for operation in batch], None

    def _deliver(self, replies: Sequence[object], effect: Effect | None) -> None:
        done = [self._waiting.popleft() for _ in replies]
        self._waiting_bytes -= sum(size for _, size in done)
        if effect is not None:
            self._publish(effect)
        for (future, _), reply in zip(done, replies, strict=True):
            if future.done():
                continue  # its caller gave up
            if isinstance(reply, StorageError):
                future.set_exception(reply)
            else:
                future.set_result(reply)

    def _end(self, failure: StorageError | None) -> None:
        """The thread is gone: whoever still waits must not wait for ever."""
        self._failure = failure
        self._ended.set()
        if failure is not None:
            logger.error("writer_ended", extra={"error": str(failure)})
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                error = StoreClosedError("the writer ended; the outcome is not known")
                error.__cause__ = failure
                future.set_exception(error)


def _bytes_of(operation: Operation) -> int:
    """Return the bytes of the records that an operation puts."""
    if isinstance(operation, Put):
        return sum(len(record.raw) for record in operation.records)
    if isinstance(operation, Accept | Learn):
        return len(operation.value or b"")
    return 0


def _full(operation: Operation, error: StorageFullError) -> object:
    """Return the refusal of one operation of a batch that did not fit."""
    match operation:
        case Put():
            return PutReply(ReplicaStatus.FULL)
        case MergePage() | FinishPull():
            return MergeReply("full")
        case Prepare():
            return PrepareReply(ReplicaStatus.FULL)
        case Accept() | Learn():
            return AcceptReply(ReplicaStatus.FULL)
        case _:
            return error
