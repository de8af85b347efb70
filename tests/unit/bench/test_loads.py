"""What generators understand of answers, and how an open loop counts a stall."""

from collections.abc import Callable

from bench.load.etcd_wire import EtcdWire
from bench.load.redis_wire import RedisWire
from bench.load.wire import Answered
from bench.memory import VALUE_BYTES, memory_id, memory_json
from bench.openloop.schedule import Latencies, Operation, Paced, Schedule
from bench.openloop.search import Search


def frame(kind: int, flags: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags, 0, 0, 0, 1)) + payload


DATA, TRAILERS = frame(0, 0, b"answer"), frame(1, 5, b"status")


def test_a_call_to_etcd_is_good_when_it_has_data_before_its_stream_ends() -> None:
    wire = EtcdWire("Put")
    assert wire.feed(frame(1, 4, b"headers") + DATA[:3]) == Answered()
    assert wire.feed(DATA[3:] + TRAILERS) == Answered(good=1)
    assert wire.feed(TRAILERS) == Answered(bad=1)


def test_pings_and_settings_are_answered() -> None:
    reply = EtcdWire("Put").feed(frame(6, 0, b"12345678") + frame(4, 0) + frame(4, 1)).reply
    pong = b"\0\0\x08\x06\x01\0\0\0\x0012345678"
    assert reply == pong + b"\0\0\0\x04\x01\0\0\0\0"


def test_a_write_to_redis_is_good_when_a_replica_has_it() -> None:
    wire = RedisWire()
    assert wire.feed(b"+OK\r\n:") == Answered()
    assert wire.feed(b"2\r\n") == Answered(good=1)
    assert wire.feed(b"+OK\r\n:0\r\n") == Answered(bad=1)
    assert wire.feed(b"-ERR full\r\n:1\r\n") == Answered(bad=1)


def test_every_value_has_one_length_and_its_own_id() -> None:
    one, other = memory_json(memory_id("a", 1)), memory_json(memory_id("bcd", 20_000))
    assert len(one) == len(other) == VALUE_BYTES
    assert one != other


class Stalled:
    """A sender whose answers all come when it is told."""

    def __init__(self) -> None:
        self.open: list[tuple[Operation, Callable[[Operation, bool], None]]] = []

    def send(self, operation: Operation, done: Callable[[Operation, bool], None]) -> None:
        self.open.append((operation, done))

    def answer(self) -> None:
        for operation, done in self.open:
            done(operation, True)
        self.open.clear()


def test_all_that_were_due_during_a_stall_count_it() -> None:
    now, sender = [0.0], Stalled()
    schedule = Schedule(rate=10, seconds=2, clock=lambda: now[0])
    schedule.send_due(sender)
    now[0] = 1.0  # nothing was sent meanwhile: ten operations are late
    schedule.send_due(sender)
    sender.answer()
    result = schedule.result()
    assert result.sent == 11
    assert result.reads.worst == 1000
    assert result.reads.p50 > 400


def test_what_is_never_answered_is_an_error_and_a_long_latency() -> None:
    now = [0.0]
    schedule = Schedule(rate=1, seconds=1, clock=lambda: now[0])
    schedule.send_due(Stalled())
    now[0] = 6.0
    result = schedule.result()
    assert (result.errors, result.late, result.reads.worst) == (1, 1, 6000)


def paced(rate: float) -> Paced:
    """A system that holds up to 3,333 operations/s."""
    slow = [0.02 if rate > 3_333 else 0.001]
    return Paced(
        rate=rate,
        sent=1,
        writes_sent=0,
        writes_acknowledged=0,
        errors=0,
        late=0,
        reads=Latencies.of(slow),
        writes=Latencies.of([]),
    )


def test_the_search_ends_below_the_highest_rate_that_holds() -> None:
    assert 3_000 < Search(paced).highest(1000, 40_000) <= 3_333
    assert 2_500 < Search(paced).highest(5000, 40_000) <= 3_333
