"""Pulls stay below their bound in bytes, whoever makes them, and notice when it changes."""

import asyncio

from spine_node.engine.replication.throttle import Throttle
from unit.engine.harness import ManualClock

RATE = 1000


def throttle_of(clock: ManualClock, rate: int = RATE) -> Throttle:
    return Throttle(clock, bytes_per_s=rate, slots=4)


async def test_a_long_pull_takes_the_time_of_its_bytes(clock: ManualClock) -> None:
    throttle = throttle_of(clock)
    for _ in range(100):
        await throttle.spend(500)
    assert 48.0 <= clock.seconds <= 51.0  # 50 s less the burst, and a tick for each wait


async def test_pulls_beside_each_other_share_one_bound(clock: ManualClock) -> None:
    throttle = throttle_of(clock)

    async def pull() -> None:
        for _ in range(25):
            await throttle.spend(500)

    await asyncio.gather(*(pull() for _ in range(4)))
    assert clock.seconds >= 48.0


async def test_time_that_was_not_used_is_not_saved_up(clock: ManualClock) -> None:
    throttle = throttle_of(clock)
    await throttle.spend(1)
    clock.seconds += 3600
    for _ in range(10):
        await throttle.spend(RATE)
    assert clock.seconds - 3600 >= 8.5


async def test_at_zero_bytes_per_second_a_pull_waits_until_that_changes(clock: ManualClock) -> None:
    throttle = throttle_of(clock, rate=0)

    def raise_it() -> None:
        throttle.bytes_per_s = RATE * (clock.seconds > 5)

    clock.while_asleep = raise_it
    await throttle.spend(500)
    assert 5.0 < clock.seconds < 8.0


async def test_no_wait_is_too_short_to_end(clock: ManualClock) -> None:
    throttle = throttle_of(clock, rate=10**9)
    for _ in range(50):
        await throttle.spend(10**9 + 1)
    assert all(seconds >= 0.001 for seconds in clock.slept)
