"""Server processes: started here, measured here, ended here. They die with the benchmark."""

import ctypes
import os
import random
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bench.waiting import DEADLINE_S

PORTS = (16_384, 32_768)  # outgoing connections begin at 32768, ip(7)
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_UTIME, _STIME, _CUTIME, _CSTIME, _PPID = 11, 12, 13, 14, 1  # after the name, proc(5)


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, below those of outgoing connections."""
    with ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            port = random.randrange(*PORTS)
            with suppress(OSError):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                found.append(port)
        return found


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Process:
    """One server process; what it says goes to a file."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self.log = log
        account: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
        with log.open("ab") as out:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                [str(part) for part in command],
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl, no lock
                **account,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process.poll() is None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, kindly first."""
        if not self.running:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(timeout=DEADLINE_S / 4)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=DEADLINE_S)


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Seconds that processes and all their children, also ended ones, have spent on a core."""

    user_s: float
    system_s: float
    threads_s: Mapping[str, tuple[float, float]]  # of it live threads, by name: user, system

    @property
    def total_s(self) -> float:
        """User and system."""
        return self.user_s + self.system_s

    def __sub__(self, before: Self) -> "CpuTime":
        threads = {}
        for name, (user_s, system_s) in self.threads_s.items():
            then_user_s, then_system_s = before.threads_s.get(name, (0, 0))
            threads[name] = (user_s - then_user_s, system_s - then_system_s)
        return CpuTime(self.user_s - before.user_s, self.system_s - before.system_s, threads)


def cpu_time(roots: Iterable[int]) -> CpuTime:
    """Return what the process trees below these processes have used.

    A parent takes over what a child has used when it waits for it, so an ended child is counted too.
    """
    user = system = 0
    threads: Counter[tuple[str, int]] = Counter()  # name, and which of the two times
    for pid in _trees(set(roots)):
        with suppress(FileNotFoundError, ProcessLookupError):  # ended: now in its parent's account
            ticks = _stat(Path(f"/proc/{pid}/stat"))
            user += int(ticks[_UTIME]) + int(ticks[_CUTIME])
            system += int(ticks[_STIME]) + int(ticks[_CSTIME])
        for task in Path(f"/proc/{pid}/task").glob("*/stat"):
            with suppress(FileNotFoundError, ProcessLookupError):
                used = _stat(task)
                name = task.with_name("comm").read_text().strip().rstrip("_0123456789")
                threads[name, _UTIME] += int(used[_UTIME])
                threads[name, _STIME] += int(used[_STIME])
    by_name = {
        name: (threads[name, _UTIME] * TICK_S, threads[name, _STIME] * TICK_S)
        for name in {name for name, _ in threads}
    }
    return CpuTime(user * TICK_S, system * TICK_S, by_name)


def resident_bytes(pid: int) -> int:
    """Return how much memory a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _stat(path: Path) -> list[str]:
    return path.read_text().rpartition(") ")[2].split()


def _trees(roots: set[int]) -> set[int]:
    """Return the processes and their descendants."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            children.setdefault(int(_stat(path)[_PPID]), []).append(int(path.parent.name))
    found, waiting = set(roots), list(roots)
    while waiting:
        new = children.get(waiting.pop(), [])
        found.update(new)
        waiting.extend(new)
    return found
