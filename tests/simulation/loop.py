"""A deterministic event loop on virtual time: when nothing is ready, the next timer is now.

No threads: what would run in an executor runs in place, or `executor_s` later. A task belongs to whoever created it, in
`OWNER`, so that a crash can end every task of one node and of no other.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextvars import ContextVar
from typing import Any, TypeVar, TypeVarTuple, Unpack
from weakref import WeakSet

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Tasks = WeakSet["asyncio.Task[Any]"]

START_S = 1_000.0
OWNER: ContextVar[Tasks | None] = ContextVar("OWNER", default=None)


class _Timers:
    """The selector of a loop without sockets: waiting is moving the clock."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        assert timeout is not None, (
            "nothing is ready and no timer runs: the simulation stands still"
        )
        self._loop.virtual_s += max(0.0, timeout)
        return []

    def close(self) -> None:
        """Have nothing to close."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Seconds since `START_S` pass as fast as the work in them allows."""

    def __init__(self) -> None:
        super().__init__()
        self.virtual_s = START_S
        self.executor_s = 0.0
        self._selector = _Timers(self)
        self._clock_resolution = 1e-9
        self.set_task_factory(_owned)

    def time(self) -> float:
        return self.virtual_s

    def _process_events(self, _events: list[Any]) -> None:
        """Have no events."""

    def _write_to_self(self) -> None:
        """Have nobody to wake: there is one thread."""

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> "asyncio.Future[T]":
        del executor
        done: asyncio.Future[T] = self.create_future()

        def work() -> None:
            if done.cancelled():
                return
            try:
                done.set_result(func(*args))
            except Exception as error:  # noqa: BLE001 - handed to whoever waits for the work
                done.set_exception(error)

        if self.executor_s:
            self.call_later(self.executor_s, work)
        else:
            work()
        return done


def virtual_loop() -> VirtualLoop:
    """Return the loop that this simulation runs on."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def _owned(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, T] | Generator[Any, None, T],
    /,
    **options: Any,
) -> "asyncio.Task[T]":
    task: asyncio.Task[T] = asyncio.Task(work, loop=loop, **options)
    owner = OWNER.get()
    if owner is not None:
        owner.add(task)
    return task
