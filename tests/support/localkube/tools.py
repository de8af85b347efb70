"""The programs that build.sh makes, and whether they are there.

The key of their directory is a hash of the pins, computed by build.sh alone.
"""

import enum
import fcntl
import functools
import subprocess
from collections.abc import Callable
from pathlib import Path

from localkube.errors import ToolsMissingError

BUILD = Path(__file__).with_name("build.sh")


class State(enum.Enum):
    """What a group of programs is; `BUILDING` will be `READY` if one waits."""

    READY = "ready"
    BUILDING = "building"
    MISSING = "missing"


@functools.cache
def bin_dir() -> Path:
    """Return the directory of the programs for the pins of this checkout."""
    answer = subprocess.run([BUILD, "where"], check=True, stdout=subprocess.PIPE, text=True)
    return Path(answer.stdout.strip())


def program(name: str) -> str:
    """Return the path of one program.

    Raises:
        ToolsMissingError: it has not been built.
    """
    path = bin_dir() / name
    if not path.exists():
        raise ToolsMissingError(f"{name} is not built; run: {BUILD} all")
    return str(path)


def state(group: str) -> State:
    """Tell whether the programs of a build.sh group are there, or at least on their way."""
    if _done_file(group).exists():
        return State.READY
    lock = bin_dir().with_name("lock")
    if not lock.exists():
        return State.MISSING
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return State.BUILDING
    return State.READY if _done_file(group).exists() else State.MISSING


def wait_for(group: str) -> None:
    """Wait until a running build has ended; at once when the group is there.

    Raises:
        ToolsMissingError: no build is running, or it ended without the group.
    """
    if state(group) is State.BUILDING:
        with bin_dir().with_name("lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
    if state(group) is not State.READY:
        raise ToolsMissingError(f"run: {BUILD} {group}")


def ensure(group: str, say: Callable[[str], None]) -> None:
    """Build a group unless it is there; `say` gets each line of build.sh.

    What a cached group needs at run time, Debian packages, is checked all the same.

    Raises:
        ToolsMissingError: the build failed; carries its last lines.
    """
    if group != "packages":
        ensure("packages", say)
    if state(group) is State.READY:
        return
    lines: list[str] = []
    with subprocess.Popen(
        [BUILD, group], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as build:
        assert build.stdout is not None
        for line in build.stdout:
            lines.append(line.rstrip())
            say(lines[-1])
    if build.returncode:
        raise ToolsMissingError("\n".join(lines[-5:]))


def _done_file(group: str) -> Path:
    return bin_dir().with_name(f"{group}.done")
