"""A shell in one directory, for lines of a page."""

import os
import re
import subprocess
from pathlib import Path

from localkube.clock import until
from localkube.processes import dies_with_parent

LINE_DEADLINE_S = 240
END_DEADLINE_S = 20


class Terminal:
    """Runs lines as they are typed; `close` ends what it has left running.

    `programs` is a directory that comes before the machine's own.
    """

    def __init__(self, directory: Path, programs: Path, **variables: str) -> None:
        self.directory = directory
        path = f"{programs}:{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, **variables}
        self._running: list[subprocess.Popen[bytes]] = []

    def export(self, **variables: str) -> None:
        """Set variables for the lines that follow."""
        self._environment |= variables

    def run(self, line: str) -> str:
        """Run a line to its end and return what it printed, on both channels."""
        return self.call("bash", "-e", "-o", "pipefail", "-c", line)

    def call(self, *words: str) -> str:
        """Run one program to its end and return what it printed, on both channels."""
        done = subprocess.run(
            words,
            cwd=self.directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LINE_DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, f"{words[-1]}: exit code {done.returncode}\n{done.stdout}"
        return done.stdout

    def start(self, line: str, says: str) -> re.Match[str]:
        """Start a line that goes on running and wait until it has said what matches `says`."""
        log = self.directory / f"terminal-{len(self._running)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                dies_with_parent(["bash", "-c", f"exec {line}"]),
                cwd=self.directory,
                env=self._environment,
                stdout=output,
                stderr=output,
            )
        self._running.append(process)

        def said() -> re.Match[str] | None:
            assert process.poll() is None, f"{line}: has ended\n{log.read_text()}"
            return re.search(says, log.read_text())

        found = until(line, said)
        assert found is not None, "until returns what is true"
        return found

    def close(self) -> None:
        """End what still runs, as Ctrl-C and the end of the terminal would."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(END_DEADLINE_S)
        self._running.clear()
