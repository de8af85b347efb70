"""A pod's processes as the machine sees them: for faults that are exact to one process."""

from pathlib import Path

from localkube import cgroups
from localkube.api import Json
from localkube.errors import LocalKubeError

ESTABLISHED = "01"  # state in /proc/PID/net/tcp, linux/include/net/tcp_states.h


def container_id(pod: Json, container: str | None = None) -> str:
    """Return the id of a running container of a pod, the first when none is named.

    Raises:
        LocalKubeError: it does not run.
    """
    for status in pod.get("status", {}).get("containerStatuses", []):
        if container in (None, status["name"]) and "running" in status["state"]:
            return str(status["containerID"]).removeprefix("containerd://")
    raise LocalKubeError(f"no running container {container or ''} in {pod['metadata']['name']}")


def main_process(root: Path, identity: str) -> int:
    """Return the process id, on this machine, of the first process of a container.

    It is the one that is 1 in its own PID namespace. Signals that it would ignore from inside
    (the kernel protects a namespace's first process) reach it from here.

    Raises:
        LocalKubeError: the container has ended.
    """
    for top in cgroups.directories(root):
        for directory in cgroups.tree(top):
            pids = cgroups.processes(directory) if directory.name == identity else ()
            for pid in filter(_is_first, pids):
                return pid
    raise LocalKubeError(f"container {identity} has no process")


def established(pid: int, port: int) -> int:
    """Return how many TCP connections of this process's network have `port` at either end."""
    wanted = f":{port:04X}"
    count = 0
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, remote, state, *_ = line.split()
            count += state == ESTABLISHED and (local.endswith(wanted) or remote.endswith(wanted))
    return count


def _is_first(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has ended
        return False
    line = next(line for line in status.splitlines() if line.startswith("NSpid:"))
    return line.split()[-1] == "1"
