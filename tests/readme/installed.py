"""The project's own wheel in a virtual environment, as `pip install` would make it from a registry."""

import re
import sys
import venv
from pathlib import Path

from localkube.processes import run
from readme.blocks import REPOSITORY
from readme.terminal import Terminal

_PINNED = re.compile(r"^[\w.-]+==\S+", re.MULTILINE)


def install(root: Path, line: str) -> Path:
    """Run a page's `pip install` line in a fresh environment; return where its programs are.

    The registry knows nothing of this checkout: pip is pointed at a wheel built from it, and at the
    versions of requirements.lock for everything else.
    """
    wheels = root / "wheels"
    quiet = ["-q", "--disable-pip-version-check"]
    run(sys.executable, "-m", "pip", "wheel", *quiet, "--no-deps", f"-w{wheels}", REPOSITORY)
    [wheel] = wheels.iterdir()
    constraints = root / "constraints.txt"
    ours = "{}=={}".format(*wheel.name.split("-")[:2])
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    constraints.write_text("\n".join([ours, *_PINNED.findall(lock)]))
    venv.create(root / "venv", with_pip=True)
    programs = root / "venv" / "bin"
    terminal = Terminal(root, programs, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_COMPILE="1")
    terminal.export(PIP_CONSTRAINT=str(constraints), PIP_FIND_LINKS=str(wheels))
    said = terminal.run(line)
    assert wheel.name in said, f"pip took another memory-spine:\n{said}"
    return programs
