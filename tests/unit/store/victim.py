"""A process that writes to a store and dies by SIGKILL at a named instant of its n-th commit.

Arguments: directory, instant, number of the commit. It prints the number of each acknowledged write;
what it managed to print was acknowledged. Writes go out TOGETHER at a time.
"""

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

from spine_core.records.hlc import HybridClock
from spine_node.store import StorePorts, open_store
from unit.store.harness import DOCUMENT, NOW_MS, at, put

WRITES = 60
TOGETHER = 6


class Executioner:
    """A failpoint that kills. It first gives a premature acknowledgement time to get out."""

    def __init__(self, instant: str, commit: int) -> None:
        self._instant = instant
        self._left = commit

    def __call__(self, instant: str) -> None:
        if instant != self._instant:
            return
        self._left -= 1
        if self._left == 0:
            threading.Event().wait(0.1)
            os.kill(os.getpid(), signal.SIGKILL)


async def main(path: Path, instant: str, commit: int) -> None:
    store = open_store(
        path,
        clock=HybridClock(),
        physical_ms=lambda: NOW_MS,
        ports=StorePorts(failpoint=Executioner(instant, commit)),
    )
    await store.submit(DOCUMENT)

    async def write(number: int) -> None:
        name = f"n{number}"
        assert (await store.submit(put(number % 4, at(number), name))).of(0) == "ok"
        os.write(1, f"{number}\n".encode())

    for first in range(0, WRITES, TOGETHER):
        await asyncio.gather(*(write(number) for number in range(first, first + TOGETHER)))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
