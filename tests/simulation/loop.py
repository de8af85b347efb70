"""A deterministic event loop on virtual time: when nothing is ready, the next timer is now.

No threads: what would run in an executor runs in place, or `executor_s` later. A task belongs to
whoever created it, in `OWNER`, so that a crash can end every task of one node and of no other, and a
stopped process runs nothing until it goes on.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextvars import Context, ContextVar
from typing import Any, TypeVar, TypeVarTuple, Unpack
from weakref import WeakKeyDictionary

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Tasks = WeakKeyDictionary["asyncio.Task[Any]", None]  # in the order in which they were made

START_S = 1_000.0
OWNER: ContextVar[Tasks | None] = ContextVar("OWNER", default=None)


class _Handle(asyncio.Handle):
    """A callback that waits while its process is stopped."""

    __slots__ = ()
    _loop: "VirtualLoop"
    _context: Context

    def _run(self) -> None:
        if not (self._loop.parked and self._loop.is_parked(self, self._context)):
            super()._run()


class _TimerHandle(asyncio.TimerHandle):
    """A timer whose callback waits while its process is stopped."""

    __slots__ = ()
    _scheduled: bool
    _loop: "VirtualLoop"
    _context: Context

    def _run(self) -> None:
        if not (self._loop.parked and self._loop.is_parked(self, self._context)):
            super()._run()


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

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        super().__init__()
        self.virtual_s = START_S
        self.executor_s = 0.0
        self.parked: dict[int, list[asyncio.Handle]] = {}  # of stopped processes, by their tasks
        self._selector = _Timers(self)
        self._clock_resolution = 1e-9
        self.set_task_factory(_owned)

    def time(self) -> float:
        return self.virtual_s

    def stop_tasks(self, tasks: Tasks) -> None:
        """Run nothing of a process, as after SIGSTOP: its time passes, its messages wait."""
        self.parked.setdefault(id(tasks), [])

    def resume_tasks(self, tasks: Tasks) -> None:
        """Let a process go on where it was stopped."""
        self._ready.extend(self.parked.pop(id(tasks), ()))

    def is_parked(self, handle: asyncio.Handle, context: Context) -> bool:
        """Keep what a stopped process would run now; return whether it is one's."""
        owner: ContextVar[Any] = OWNER
        parked = self.parked.get(id(context.get(owner)))
        if parked is not None:
            parked.append(handle)
        return parked is not None

    def _call_soon(
        self, callback: Callable[..., Any], args: Any, context: Context | None
    ) -> asyncio.Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = _TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer

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
        owner[task] = None
    return task
