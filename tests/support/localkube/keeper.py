"""The keeper of a cluster: starts its hub, outlives it, and clears away what it leaves.

A cluster ends in one way only: its hub is killed, and the kernel takes the rest. Then the keeper
removes cgroups and files; only logs stay. It ends the cluster on SIGTERM, on SIGINT, and when the
hub ends by itself. When the keeper is killed, the kernel still ends the cluster, and the next start
in the same directory clears away the empty rest.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from localkube import cgroups
from localkube.clock import until
from localkube.commands import LOOPBACK
from localkube.errors import DaemonDiedError, HubError
from localkube.hub_socket import ask, socket_path
from localkube.images.pause import write_pause_image
from localkube.kubeconfig import write_kubeconfig
from localkube.leftovers import LOGS, ROOT_VARIABLE, living_processes
from localkube.pki import Pki
from localkube.plan import API_PORT, HUB_IP, ClusterPlan
from localkube.processes import LOG_TAIL_CHARS, dies_with_parent

PACKAGES = Path(__file__).parents[1]  # where python finds this package
UP_DEADLINE_S = 180
END_DEADLINE_S = 30


def keep(plan: ClusterPlan, archives: Sequence[Path]) -> None:
    """Run a cluster until told to end it. `DIR/ready.json` appears when it is up.

    Raises:
        HubError: another keeper has this directory.
        DaemonDiedError: it did not come up; carries the end of the hub's log.
    """
    (plan.root / LOGS).mkdir(parents=True, exist_ok=True)
    with _lock(plan.root):
        clear(plan.root)
        _forget_logs(plan.root)
        hub = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        try:
            _lay_out(plan, archives)
            hub = _start_hub(plan.root)
            _announce(plan, hub)
            hub.wait()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)  # a second one must not cut this short
            if hub:
                hub.kill()
                hub.wait()
            clear(plan.root)


def end(root: Path) -> None:
    """End the cluster in `root`, whoever keeps it, and wait until nothing is left of it."""
    if keeper := keeper_pid(root):
        os.kill(keeper, signal.SIGTERM)
        until("the keeper's end", lambda: not keeper_pid(root), deadline_s=2 * END_DEADLINE_S)
    clear(root)


def keeper_pid(root: Path) -> int | None:
    """Return the process id of the cluster's keeper while it lives."""
    with suppress(FileNotFoundError), _lock_file(root).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read())
    return None


def clear(root: Path) -> None:
    """Wait until every process of the cluster has ended; remove its cgroups and all but its logs."""
    until("the processes' end", lambda: not living_processes(root), deadline_s=END_DEADLINE_S)
    until("the cgroups' end", lambda: cgroups.remove(root), deadline_s=END_DEADLINE_S)
    for path in root.iterdir() if root.is_dir() else ():
        if path.is_dir() and path.name != LOGS:
            shutil.rmtree(path)
        elif not path.is_dir():
            path.unlink()


def _forget_logs(root: Path) -> None:
    """Begin with fresh logs, but for the keeper's own, which is open."""
    for log in (root / LOGS).glob("*.log"):
        if log.stem != "keeper":
            log.unlink()


@contextmanager
def _lock(root: Path) -> Iterator[IO[str]]:
    with _lock_file(root).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HubError(f"a cluster runs in {root} already") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file


def _lock_file(root: Path) -> Path:
    return root / LOGS / "keeper.lock"  # beside the logs: it must not be cleared while it is held


def _lay_out(plan: ClusterPlan, archives: Sequence[Path]) -> None:
    for directory in (plan.disks, plan.images, plan.volumes):
        directory.mkdir()
    plan.save()
    write_pause_image(plan.images / "pause.tar")
    for archive in archives:
        (plan.images / archive.name).symlink_to(archive.absolute())


def _start_hub(root: Path) -> subprocess.Popen[bytes]:
    argv = ["unshare", "--net", "--mount", sys.executable, "-m", "localkube.hub", root]
    env = {**os.environ, "PYTHONPATH": str(PACKAGES), ROOT_VARIABLE: str(root)}
    with (root / LOGS / "hub.log").open("ab") as log:
        return subprocess.Popen(
            dies_with_parent(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env
        )


def _announce(plan: ClusterPlan, hub: subprocess.Popen[bytes]) -> None:
    def is_up() -> bool:
        status = hub.poll()
        if status is not None:
            log = (plan.root / LOGS / "hub.log").read_text(errors="replace")
            raise DaemonDiedError("the hub", status, log[-LOG_TAIL_CHARS:])
        return socket_path(plan.root).exists()

    until("the cluster", is_up, deadline_s=UP_DEADLINE_S)
    port = open_relay(plan.root, HUB_IP, API_PORT)
    server = f"https://{LOOPBACK}:{port}"
    kubeconfig = plan.root / "outside.kubeconfig"
    write_kubeconfig(kubeconfig, server=server, pki=Pki(plan.root / "pki"))
    timings = json.loads((plan.root / "timings.json").read_text())
    facts = {"kubeconfig": str(kubeconfig), "server": server, "seconds": timings}
    draft = plan.root / "ready.draft"
    draft.write_text(json.dumps(facts))
    draft.rename(plan.root / "ready.json")
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def open_relay(root: Path, host: str, port: int, outside_port: int = 0) -> int:
    """Open a loopback port out here that leads to an address in the hub; return the port.

    It stays open as long as the hub, whatever becomes of the caller.
    """
    with socket.create_server((LOOPBACK, outside_port)) as listener:
        ask(root, {"do": "relay", "host": host, "port": port}, [listener.fileno()])
        return int(listener.getsockname()[1])
