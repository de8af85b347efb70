"""The project in a virtual environment, as a page's `pip install` line puts it there."""

import re
import venv
from pathlib import Path

from readme.blocks import REPOSITORY
from readme.terminal import Terminal

_PINNED = re.compile(r"^[\w.-]+==\S+", re.MULTILINE)


def install(root: Path, line: str) -> Path:
    """Run a page's `pip install` line in a fresh environment; return where its programs are.

    Everything but the project comes in the versions of requirements.lock.
    """
    constraints = root / "constraints.txt"
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    constraints.write_text("\n".join(_PINNED.findall(lock)))
    venv.create(root / "venv", with_pip=True)
    programs = root / "venv" / "bin"
    terminal = Terminal(REPOSITORY, programs, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_COMPILE="1")
    terminal.export(PIP_CONSTRAINT=str(constraints))
    terminal.run(line)
    return programs
