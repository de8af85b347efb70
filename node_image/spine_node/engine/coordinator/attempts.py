"""The two loops of all coordinators: try until the deadline, and ask many until a tally decides."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

from spine_core.errors import ProblemError
from spine_node.clock import Clock

T = TypeVar("T")
AnswerP = ParamSpec("AnswerP")
VerdictT = TypeVar("VerdictT")
VerdictT_co = TypeVar("VerdictT_co", covariant=True)


class AttemptFailedError(Exception):
    """This attempt did not get the answers it needs; another may, unless it is `final`.

    `problem` is what to tell the caller when no other attempt follows.
    """

    def __init__(self, problem: ProblemError, *, final: bool = False) -> None:
        self.problem, self.final = problem, final
        super().__init__(str(problem))


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before another attempt; doubles from `first_s` to `max_s`."""

    first_s: float
    max_s: float
    jitter: bool = False  # where attempts of several nodes could meet again and again


async def attempts(
    once: Callable[[], Awaitable[T]], clock: Clock, deadline: float, backoff: Backoff
) -> T:
    """Try until it works, or until the deadline leaves no time for another attempt.

    Raises:
        AttemptFailedError: of the last attempt.
    """
    wait_s = backoff.first_s
    while True:
        try:
            return await once()
        except AttemptFailedError as failed:
            pause_s = clock.jittered(wait_s) if backoff.jitter else wait_s
            if failed.final or deadline - clock.now() <= pause_s:
                raise
        await clock.sleep(pause_s)
        wait_s = min(2 * wait_s, backoff.max_s)


class Tally(Protocol[AnswerP, VerdictT_co]):
    """What the answers of many replicas amount to; decided in `spine_core.replication`."""

    def answer(self, *args: AnswerP.args, **kwargs: AnswerP.kwargs) -> None:
        """Note one answer."""

    def verdict(self) -> VerdictT_co | None:
        """Return what follows from the answers so far, None while more can change it."""

    def expire(self) -> VerdictT_co:
        """End the attempt now."""


async def collect(
    tally: Tally[AnswerP, VerdictT],
    send: Callable[[Callable[AnswerP, None]], None],
    left_s: float,
) -> VerdictT:
    """Feed a tally with the answers to one call; return its first verdict, or what time-out means.

    `send(answered)` sends the call to all that are asked, and `answered` is called with each answer:
    no task for each replica, since a write would pay for three. Answers behind the verdict are still
    counted, but nobody waits for them.
    """
    decided: asyncio.Future[VerdictT] = asyncio.get_running_loop().create_future()

    # annotations in quotes: others are made anew with every call of `collect`
    def answered(*args: "AnswerP.args", **kwargs: "AnswerP.kwargs") -> None:
        tally.answer(*args, **kwargs)
        if not decided.done() and (verdict := tally.verdict()) is not None:
            decided.set_result(verdict)

    send(answered)
    if decided.done():  # our own store has decided alone: no timer is needed
        return decided.result()
    try:
        async with asyncio.timeout(left_s):
            return await decided
    except TimeoutError:
        return tally.expire()
