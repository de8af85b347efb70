"""What a node says of itself while it starts: why it does not serve yet, and at last that it does."""

from collections.abc import Iterator

from spine_node.clock import Clock
from spine_node.readiness import PATIENCE_S, POLL_S, Readiness

STARTING = "this node is starting"


class SteppedClock(Clock):
    """Time goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


async def said(states: Iterator[tuple[str | None, bool]]) -> list[str | None]:
    """Return what is announced while a node goes through (why it is not ready, has a document)."""
    document = [False]

    def unready() -> str | None:
        reason, document[0] = next(states)
        return reason

    heard: list[str | None] = []
    readiness = Readiness(SteppedClock(), unready, lambda: document[0], "the operator")
    await readiness.announce(heard.append)
    return heard


def states(*phases: tuple[str | None, bool, float]) -> Iterator[tuple[str | None, bool]]:
    """Yield each phase for so many seconds, and then readiness."""
    for reason, document, lasts_s in phases:
        for _ in range(round(lasts_s / POLL_S)):
            yield reason, document
    yield None, True


async def test_a_node_that_is_soon_ready_only_says_that_it_serves() -> None:
    assert await said(states((STARTING, True, PATIENCE_S / 2))) == [None]


async def test_a_node_says_why_it_is_not_ready_once_for_each_reason() -> None:
    long = PATIENCE_S + 1
    phases = states(("this node is unjoined", False, long), (STARTING, True, long))
    first, second, last = await said(phases)
    assert first == "waiting for the topology document, which comes from the operator"
    assert (second, last) == (STARTING, None)


async def test_a_node_that_makes_the_document_says_for_whom_it_waits() -> None:
    phases = states(("this node is unjoined", False, PATIENCE_S + 1))
    readiness = Readiness(
        SteppedClock(), lambda: next(phases)[0], lambda: False, "this node itself"
    )
    readiness.waits_for_nodes("waiting for b")
    heard: list[str | None] = []
    await readiness.announce(heard.append)
    assert heard == ["waiting for b", None]
