"""The cgroup directories of one cluster: one per hierarchy, one below it per node.

cgroup v1 has a hierarchy per controller, v2 has one for all. A directory can only be removed when
no process is in it.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

TOP = Path("/sys/fs/cgroup")
CPUSET_FILES = ("cpuset.cpus", "cpuset.mems")


def group_name(root: Path) -> str:
    """Return the name of a cluster's cgroup, unique by its directory."""
    return f"memory-spine-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"


def directories(root: Path, node: str = "") -> list[Path]:
    """Return the directory of a cluster, or of one of its nodes, in every hierarchy that has it."""
    name = group_name(root)
    return [top / name / node for top in _hierarchies() if (top / name / node).is_dir()]


def create(root: Path, node: str) -> None:
    """Make a node's directories, ready to take processes."""
    for top in _hierarchies():
        for parent, directory in _steps(top, group_name(root), node):
            _hand_down_controllers(parent)
            directory.mkdir(exist_ok=True)
            _inherit_cpuset(parent, directory)


def processes(directory: Path) -> Iterator[int]:
    """Yield the process ids in a directory and below it, as this PID namespace counts them."""
    for below in tree(directory):
        try:
            yield from map(int, (below / "cgroup.procs").read_text().split())
        except OSError:  # the directory went away while we looked
            continue


def tree(directory: Path) -> Iterator[Path]:
    """Yield all directories below one, the deepest first, and itself; those that go away are left out."""
    for path, _, _ in os.walk(directory, topdown=False):  # unlike rglob, it minds no such race
        yield Path(path)


def remove(root: Path, node: str = "") -> bool:
    """Remove what no process is in, of a cluster or of one node; tell whether nothing is left."""
    for top in directories(root, node):
        for directory in tree(top):
            try:
                directory.rmdir()
            except OSError:  # still in use: the caller asks again
                break
    return not directories(root, node)


def _hierarchies() -> list[Path]:
    if (TOP / "cgroup.controllers").exists():
        return [TOP]
    if not TOP.is_dir():
        return []
    return [path for path in TOP.iterdir() if path.is_dir() and not path.is_symlink()]


def _steps(top: Path, *names: str) -> Iterator[tuple[Path, Path]]:
    for name in names:
        yield top, top / name
        top = top / name


def _hand_down_controllers(parent: Path) -> None:
    """Let children have the controllers of their parent, which cgroup v2 does not do by itself."""
    available = parent / "cgroup.controllers"
    if available.exists():
        words = " ".join(f"+{name}" for name in available.read_text().split())
        (parent / "cgroup.subtree_control").write_text(words)


def _inherit_cpuset(parent: Path, directory: Path) -> None:
    """Fill a new cpuset, which in cgroup v1 is empty and takes no process."""
    for name in CPUSET_FILES:
        file = directory / name
        if file.exists() and not file.read_text().strip() and (parent / name).exists():
            file.write_text((parent / name).read_text())
