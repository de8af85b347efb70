"""The process that runs one schedule: `python -m bench.openloop.generator`."""

import asyncio
import time
from collections.abc import Sequence

import msgspec

from bench.load.apart import report_task, run_apart
from bench.openloop.http_sender import HttpSender
from bench.openloop.link_sender import LinkSender
from bench.openloop.schedule import Paced, Schedule

TICK_S = 0.001
PATIENCE_S = 5.0  # for the last answers


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is to do."""

    transport: str  # http or link
    addresses: Sequence[str]
    rate: float
    seconds: float
    prefix: str
    keys: int  # memories of prefix "fill" that may be read
    keep: bool = False  # whether all latencies of reads are wanted

    def run(self) -> Paced:
        """Run it in its process."""
        return run_apart("bench.openloop.generator", self, Paced)


async def _run(pace: Pace) -> Paced:
    sender = (LinkSender if pace.transport == "link" else HttpSender)(pace.prefix, pace.keys)
    await sender.connect(pace.addresses)
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    schedule = Schedule(pace.rate, pace.seconds, lambda: time.perf_counter() - began)
    end, over = began + pace.seconds + PATIENCE_S, asyncio.Event()

    def tick() -> None:
        schedule.send_due(sender)
        if schedule.over or time.perf_counter() > end:
            over.set()
        else:
            loop.call_later(TICK_S, tick)

    tick()
    await over.wait()
    return schedule.result(keep=pace.keep)


if __name__ == "__main__":
    report_task(Pace, _run)
