"""Runs pytest many times without starting Python many times: each run is a fork of this process.

Imported once, before the first fork, are pytest, its plugins and the libraries that tests use, never
a module of the project: each run reads those from its own tree. Why not one `python -m pytest` per
run: two of three seconds went into importing hypothesis and schemathesis, over and over.

Protocol: a line of JSON on stdin, `{"arguments": [...], "output": FILE, "timeout_s": S}`; the exit
status of pytest as a line on stdout, or `timeout`. It ends with its stdin.
"""

import importlib
import json
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress

LIBRARIES = (
    "_pytest.assertion.rewrite",
    "aiohttp.web",
    "cryptography.x509",
    "hypothesis.stateful",
    "kopf",
    "kubernetes",
    "lmdb",
    "msgspec",
    "prometheus_client",
    "pytest_asyncio.plugin",
    "pytest_timeout",
    "schemathesis.pytest.plugin",
    "sortedcontainers",
    "typer",
    "yaml",
)
# Plugins are imported before pytest could rewrite their asserts.
ARGUMENTS = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
NO_SESSION = 70  # exit status when pytest did not come as far as a session
PROJECT = ("spine_core", "spine_node", "spine_operator", "memory_spine", "spine_cli")


def main() -> None:
    """Serve until stdin ends."""
    for library in LIBRARIES:
        with suppress(ImportError):  # it is then imported by whoever needs it
            importlib.import_module(library)
    assert threading.active_count() == 1, "a fork has one thread, and locks of others stay locked"
    assert not [name for name in sys.modules if name.partition(".")[0] in PROJECT]
    for line in sys.stdin:
        wanted = json.loads(line)
        process = os.fork()
        if process == 0:
            _run(wanted["arguments"], wanted["output"])
        sys.stdout.write(f"{_outcome(process, wanted['timeout_s'])}\n")
        sys.stdout.flush()


class _Status:
    """What the session ended with; an error while pytest leaves does not change it."""

    def __init__(self) -> None:
        self.number = NO_SESSION

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self.number = int(exitstatus)


def _run(arguments: list[str], output: str) -> None:
    """Be one run of pytest; never return."""
    status = _Status()
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number, of in enumerate((nothing, file, file)):
            os.dup2(of, number)
        import pytest  # noqa: PLC0415 - imported before the fork, by its plugins

        status.number = int(pytest.main([*arguments, *ARGUMENTS], plugins=[status]))
    except BaseException:  # noqa: BLE001 - told where the run's output goes, and by its status
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status.number)


def _outcome(process: int, timeout_s: float) -> str:
    """Wait for a run to end, and end what it left behind."""
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(process, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        _, ended = os.waitpid(process, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    if os.WIFSIGNALED(ended):
        return "timeout" if os.WTERMSIG(ended) == signal.SIGKILL else str(-os.WTERMSIG(ended))
    return str(os.waitstatus_to_exitcode(ended))


if __name__ == "__main__":
    main()
