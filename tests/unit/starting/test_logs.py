"""The log of a node: what requests queue goes out together, in order, and before the process ends."""

import io
import logging
import weakref

import pytest

from spine_node.logs import LineHandler
from unit.http.harness import until


class Stream(io.StringIO):
    """A stream that tells its writes apart."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def handler(stream: Stream) -> LineHandler:
    return LineHandler(stream)


async def test_the_lines_of_one_turn_are_one_write(stream: Stream, handler: LineHandler) -> None:
    for line in ("a", "b", "c"):
        handler.queue(line)
    assert stream.writes == []
    await until(lambda: bool(stream.writes))
    handler.queue("d")
    await until(lambda: len(stream.writes) > 1)
    assert stream.writes == ["a\nb\nc\n", "d\n"]


async def test_a_record_comes_after_what_was_queued_before_it(
    stream: Stream, handler: LineHandler
) -> None:
    handler.queue("a")
    handler.handle(logging.makeLogRecord({"msg": "adopted"}))
    first, second = stream.getvalue().splitlines()
    assert first == "a"
    assert '"event": "adopted"' in second


async def test_the_end_of_the_process_writes_the_rest(stream: Stream, handler: LineHandler) -> None:
    handler.queue("a")
    logging.shutdown([weakref.ref(handler)])
    assert stream.getvalue() == "a\n"


async def test_a_stream_that_is_closed_ends_no_request(
    stream: Stream, handler: LineHandler
) -> None:
    stream.close()
    handler.queue("a")
    handler.flush()
