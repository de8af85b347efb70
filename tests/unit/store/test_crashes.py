"""Promises that must survive SIGKILL between any two steps of a commit."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from spine_core.records.versions import hlc_of
from unit.store import victim
from unit.store.harness import StoreHarness, at, key, put, rows


async def killed(harness: StoreHarness, instant: str, commit: int) -> set[int]:
    """Run the victim until it dies; return the numbers of the writes that it acknowledged."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(victim.__file__)),
        str(harness.path),
        instant,
        str(commit),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == -signal.SIGKILL
    return {int(line) for line in out.split()}


@pytest.mark.parametrize("instant", ["before-commit", "after-commit", "before-acknowledging"])
@pytest.mark.parametrize("commit", [2, 5])
async def test_everything_acknowledged_survives_a_kill(
    harness: StoreHarness, instant: str, commit: int
) -> None:
    acknowledged = await killed(harness, instant, commit)
    store = harness.open()
    held = {number for number in range(victim.WRITES) if is_held(rows(store), number)}
    assert acknowledged <= held
    assert bool(acknowledged) == (commit > 2)  # the second commit is the first with a write
    assert instant == "before-commit" or acknowledged < held
    assert len(rows(store)) == len(held)
    assert not store.identity.was_clean
    await store.close()


def is_held(found: dict[bytes, bytes], number: int) -> bool:
    written = put(number % 4, at(number), f"n{number}").records[0]
    raw = found.get(written.key)
    assert raw in (None, written.raw), "a torn record"
    return raw is not None


async def test_a_commit_is_there_whole_or_not_at_all(harness: StoreHarness) -> None:
    before = await killed(harness, "before-commit", 4)
    store = harness.open()
    records, entries = rows(store), store.feed_since(0, 1000)
    assert {entry.key for entry in entries} == set(records)
    assert len(entries) == len(records) == store.feed_head() == len(before)
    assert sum(store.slot_stats(slot)[0] for slot in range(4)) == len(records)
    assert store.hlc_high_water >= max(hlc_of(entry.version) for entry in entries)
    await store.close()


async def test_a_store_whose_process_was_killed_can_be_opened_and_written_again(
    harness: StoreHarness,
) -> None:
    await killed(harness, "after-commit", 3)
    store = harness.open()
    assert (await store.submit(put(1, at(999), "again"))).of(0) == "ok"
    assert store.get(key(1, "again")) is not None
    await store.close()
