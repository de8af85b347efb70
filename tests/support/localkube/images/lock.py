"""The part of requirements.lock that one image needs. Standard library only: Dockerfiles run it.

    python lock.py EXTRA [REPOSITORY]     print the pinned, hashed requirements of memory-spine[EXTRA]

The lock says of every package who asked for it ("# via"). Starting from the project's own
dependencies and one extra, whatever was asked for by what is in is in too.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==", re.MULTILINE)
ASKED_BY = re.compile(r"^    # (?:via |  )(?P<name>[A-Za-z0-9._-]+)(?P<rest>.*)$", re.MULTILINE)


def requirements(repository: Path, extra: str) -> str:
    """Return the requirements file of one extra.

    Raises:
        KeyError: the project has no such extra.
    """
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    blocks = parse((repository / "requirements.lock").read_text())
    wanted = closure(blocks, direct(project, extra))
    return "".join(blocks[name] for name in sorted(wanted))


def direct(project: dict[str, Any], extra: str) -> set[str]:
    """Return the names of the project's own dependencies and those of one extra."""
    texts = [*project["dependencies"], *project["optional-dependencies"][extra]]
    return {re.split(r"[<>=!~ ;\[]", text)[0].lower() for text in texts}


def parse(lock: str) -> dict[str, str]:
    """Return each package's lines, hashes and askers included, by its name."""
    starts = [(match["name"], match.start()) for match in REQUIREMENT.finditer(lock)]
    ends = [start for _, start in starts[1:]] + [len(lock)]
    return {name: lock[start:end] for (name, start), end in zip(starts, ends, strict=True)}


def closure(blocks: dict[str, str], roots: set[str]) -> set[str]:
    """Return the roots and all packages that packages in the result have asked for."""
    found = set(roots)
    while True:
        asked = {name for name, block in blocks.items() if askers(block) & found}
        if asked <= found:
            return found
        found |= asked


def askers(block: str) -> set[str]:
    """Return who asked for a package, without the project itself."""
    return {match["name"] for match in ASKED_BY.finditer(block)} - {"via", "memory-spine"}


if __name__ == "__main__":
    here = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()
    sys.stdout.write(requirements(here, sys.argv[1]))
