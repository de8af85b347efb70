"""What a cluster has left on the machine; after its end that should be its logs and nothing else."""

import os
from collections.abc import Iterator
from pathlib import Path

from localkube import cgroups

ROOT_VARIABLE = "LOCALKUBE_ROOT"  # in the environment of every program of a cluster
LINK_PREFIX = "spine-"  # of every network link of a cluster
LOGS = "logs"


def leftovers(root: Path) -> list[str]:
    """Return processes, mounts, cgroups, network links and files of the cluster in `root`."""
    found = [f"process {pid}" for pid in living_processes(root)]
    found += [f"mount {mount}" for mount in _mounts(root)]
    found += [f"cgroup {directory}" for directory in cgroups.directories(root)]
    found += [f"link {link.name}" for link in Path("/sys/class/net").iterdir() if _is_ours(link)]
    if root.is_dir():
        found += [f"file {path}" for path in root.iterdir() if path.name != LOGS]
    return found


def living_processes(root: Path) -> list[int]:
    """Return the programs of the cluster in `root`, and the pods' processes; never the caller."""
    mark = f"{ROOT_VARIABLE}={root}".encode()
    marked = {pid for pid in _process_ids() if mark in _environment(pid)}
    in_pods = {pid for top in cgroups.directories(root) for pid in cgroups.processes(top)}
    return sorted((marked | in_pods) - {os.getpid()})


def _process_ids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or it is somebody else's
        return []


def _mounts(root: Path) -> list[str]:
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if Path(point).is_relative_to(root)]


def _is_ours(link: Path) -> bool:
    return link.name.startswith(LINK_PREFIX)
