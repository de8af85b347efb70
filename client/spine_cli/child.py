"""A command that runs while a lease is held, and is ended when the lease is lost."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from threading import Lock
from types import FrameType

from memory_spine.errors import ConfigError

FORWARDED = (signal.SIGTERM, signal.SIGHUP)  # a terminal sends Ctrl-C to the command itself


class Child:
    """One process. Its end may be asked for from any thread, also before it begins."""

    def __init__(self, words: Sequence[str], grace_s: float) -> None:
        self._words = words
        self._grace_s = grace_s  # between the request to end and the end
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._unwanted = False
        self._signalled: int | None = None

    def run(self, more: Mapping[str, str]) -> int | None:
        """Run the command to its end; return its exit code as a shell tells it, None if it never ran.

        What would end this process is handed on, so that the lease is given back after the command.

        Raises:
            ConfigError: there is no such command.
        """
        before = {number: signal.signal(number, self._forward) for number in FORWARDED}
        try:
            process = self._begun(more)
            if process is None:
                return None
            if self._signalled is not None:  # while it began
                process.send_signal(self._signalled)
            code = _ended(process)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return code if code >= 0 else 128 - code

    def end(self) -> None:
        """Ask the command to end, and see that it does."""
        with self._lock:
            self._unwanted = True
            process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(self._grace_s)
        except subprocess.TimeoutExpired:
            process.kill()

    def _begun(self, more: Mapping[str, str]) -> "subprocess.Popen[bytes] | None":
        with self._lock:
            if not self._unwanted:
                try:
                    self._process = subprocess.Popen(  # noqa: S603 - running it is what it is for
                        self._words, env={**os.environ, **more}
                    )
                except OSError as error:
                    message = f"cannot run {self._words[0]!r}: {error.strerror}"
                    raise ConfigError(message) from error
            return self._process

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        self._signalled = number
        if self._process is not None:
            self._process.send_signal(number)


def _ended(process: "subprocess.Popen[bytes]") -> int:
    """Wait for the end, however often somebody presses Ctrl-C: that is the command's to obey."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
