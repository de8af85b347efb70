"""Child processes that cannot outlive their parent, and their logs."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from localkube.errors import CommandError, DaemonDiedError
from localkube.leftovers import LOGS, ROOT_VARIABLE

LOG_TAIL_CHARS = 3000


def dies_with_parent(argv: Sequence[object], *, by: signal.Signals = signal.SIGKILL) -> list[str]:
    """Return `argv` such that the kernel signals it when its parent ends, however it ends.

    The promise hangs on the parent's *thread* that spawned it: spawn from a thread that stays.
    """
    words = [str(word) for word in argv]
    return ["setpriv", "--pdeathsig", by.name.removeprefix("SIG"), "--", *words]


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(*argv: object, stdin: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return its standard output.

    Raises:
        CommandError: it failed; carries both its outputs.
    """
    words = [str(word) for word in argv]
    merged = {**os.environ, **env} if env else None
    done = subprocess.run(
        words, input=stdin, capture_output=True, text=True, env=merged, check=False
    )
    if done.returncode:
        raise CommandError(" ".join(words[:6]), done.returncode, done.stdout + done.stderr)
    return done.stdout.strip()


class Daemons:
    """The long-running children of one process, each with a log of its own."""

    def __init__(self, root: Path) -> None:
        self._logs_dir = root / LOGS
        self._env = {**os.environ, ROOT_VARIABLE: str(root)}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._logs_dir.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, argv: Sequence[object]) -> int:
        """Start a program whose name is free and return its process id."""
        assert name not in self._children, name
        with self._log(name).open("ab") as log:
            child = subprocess.Popen(
                dies_with_parent(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
            )
        self._children[name] = child
        return child.pid

    def pid(self, name: str) -> int:
        """Return the process id of a program that was started."""
        return self._children[name].pid

    def check(self) -> None:
        """Do nothing while all of them run.

        Raises:
            DaemonDiedError: one has ended; carries the end of its log.
        """
        for name, child in self._children.items():
            status = child.poll()
            if status is not None:
                tail = self._log(name).read_text(errors="replace")[-LOG_TAIL_CHARS:]
                raise DaemonDiedError(name, status, tail)

    def stop(self) -> None:
        """Kill all of them: their data is thrown away, so there is nothing to end gracefully."""
        for child in self._children.values():
            child.kill()
        for child in self._children.values():
            child.wait()
        self._children.clear()

    def _log(self, name: str) -> Path:
        return self._logs_dir / f"{name}.log"
