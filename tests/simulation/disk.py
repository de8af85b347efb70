"""The disk of a machine and the writer of its store, without a thread: real LMDB transactions, on virtual time.

A batch commits in one turn of the loop and is acknowledged a moment later, so a crash may fall
between the two. What was queued and not committed is lost with the process. The tests of the store
hold the real writer to the same promises.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from spine_node.store.errors import StorageError, StoreBusyError, StoreClosedError
from spine_node.store.operations import Asked, Operation, ReplyT
from spine_node.store.space import Cause, Space
from spine_node.store.writer import BATCH_MAX, Perform

Queued = tuple[Operation, "asyncio.Future[Any]"]

COMMIT_S = 0.002  # mean of both waits of a commit
STALL_SHARE = 0.002  # of commits that wait for a slow disk
STALL_S = 0.5


@dataclass(slots=True)
class VirtualDisk:
    """Stands in for `spine_node.store.space.FileSystem`: it is as full, and as slow, as a test says."""

    left: Space = Space.FREE
    stall_share: float = STALL_SHARE
    answers: Counter[str] = field(default_factory=Counter)  # of its writer, by operation and status

    def space(self, _reusable_bytes: int) -> Space:
        """Return how much is left."""
        return self.left

    def recheck(self) -> None:
        """Have nothing to look at."""

    def cause(self, _code: int | None, _needed_bytes: int) -> Cause:
        """Call every error of the real disk below what it is: none is part of a simulation."""
        return Cause.BROKEN

    def close(self) -> None:
        """Hold nothing open."""


@dataclass(slots=True, kw_only=True, eq=False)
class OperationRule:
    """What becomes of operations of one kind, instead of being queued; it keeps those it met."""

    kind: type[Operation]
    after: int  # operations of the kind that pass first
    is_lost: bool  # never answered; else refused, as when too many wait
    met: list[Operation] = field(default_factory=list)

    def end(self) -> None:
        """Let all further operations pass."""
        self.after = sys.maxsize


class VirtualWriter:
    """Stands in for `spine_node.store.writer.Writer`."""

    def __init__(
        self,
        random: Random,
        disk: VirtualDisk,
        perform: Perform[Any],
        _failpoint: Callable[[str], None],
    ) -> None:
        self._random, self._disk, self._perform = random, disk, perform
        self._loop = asyncio.get_running_loop()
        self._queue: list[Queued] = []
        self._batch: Sequence[Queued] = ()  # that was committed, and is not acknowledged yet
        self._committing = False
        self._closed = False
        self._dead = False
        self._failure: StorageError | None = None
        self.hangs = False  # what is queued from now on is neither committed nor refused
        self._rules: list[OperationRule] = []

    def start(self, publish: Callable[[Any], None]) -> None:
        """Begin to work."""
        self._publish = publish

    @property
    def failure(self) -> StorageError | None:
        """Why it ended by itself."""
        return self._failure

    def submit(self, operation: Asked[ReplyT]) -> "asyncio.Future[ReplyT]":
        """Queue an operation."""
        if self._closed:
            raise StoreClosedError("the store takes no more writes")
        future: asyncio.Future[ReplyT] = self._loop.create_future()
        for rule in self._rules:
            if isinstance(operation, rule.kind):
                rule.after -= 1
                if rule.after < 0:
                    rule.met.append(operation)
                    if rule.is_lost:
                        return future
                    raise StoreBusyError("many wait")
        self._queue.append((operation, future))
        self._next()
        return future

    def refuse(self, kind: type[Operation], *, after: int = 0) -> OperationRule:
        """Let operations of a kind find too many waiting, once some have passed."""
        return self._add(OperationRule(kind=kind, after=after, is_lost=False))

    def lose(self, kind: type[Operation]) -> OperationRule:
        """Let operations of a kind take for ever."""
        return self._add(OperationRule(kind=kind, after=0, is_lost=True))

    def resume(self) -> None:
        """Go on after having hung."""
        self.hangs = False
        self._next()

    def fail(self) -> None:
        """End as after a failed fsync: nobody knows what became of that which waits."""
        self._closed = self._dead = True
        self._failure = StorageError("the disk failed: EIO")
        for _, future in (*self._queue, *self._batch):
            if not future.done():
                future.set_exception(StoreClosedError("the writer ended; the outcome is not known"))

    def crash(self) -> None:
        """Stop at this instant: nothing more is committed or acknowledged."""
        self._closed = self._dead = True

    async def close(self) -> None:
        """Finish what is queued."""
        self._closed = True
        if not self._dead:
            await asyncio.gather(*(future for _, future in self._queue), return_exceptions=True)

    def _add(self, rule: OperationRule) -> OperationRule:
        self._rules.append(rule)
        return rule

    def _next(self) -> None:
        if self._queue and not self._committing and not self.hangs:
            self._committing = True
            self._loop.call_later(self._wait_s(), self._commit)

    def _commit(self) -> None:
        if not self._dead:
            batch, self._queue = self._queue[:BATCH_MAX], self._queue[BATCH_MAX:]
            self._batch = batch
            replies, effect = self._perform([operation for operation, _ in batch])
            self._loop.call_later(self._wait_s(), self._deliver, batch, replies, effect)

    def _deliver(self, batch: Sequence[Queued], replies: Sequence[object], effect: Any) -> None:
        if self._dead:
            return
        self._publish(effect)
        self._batch = ()
        for (operation, future), reply in zip(batch, replies, strict=True):
            self._disk.answers[f"{type(operation).__name__} {getattr(reply, 'status', '')}"] += 1
            if not future.done():
                future.set_result(reply)
        self._committing = False
        self._next()

    def _wait_s(self) -> float:
        if self._random.random() < self._disk.stall_share:
            return STALL_S
        return self._random.expovariate(1 / COMMIT_S)
