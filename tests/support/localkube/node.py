"""A node as the hub sees it: a machine with a power switch and a cable."""

import contextlib
import sys
from pathlib import Path

from localkube import cgroups, node_files
from localkube.clock import until
from localkube.commands import ControlPlanePlan
from localkube.errors import CommandError, HubError
from localkube.kubeconfig import write_kubeconfig
from localkube.network import ip
from localkube.plan import BRIDGE, NodePlan
from localkube.processes import Daemons, run
from localkube.seed import plant

OWN_NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc"]
FAST_POLL_S = 0.005  # a process has left its parent's network after a few milliseconds


class Node:
    """Invariant: its processes run while `is_powered`; its link is up while `is_connected`."""

    def __init__(self, plan: NodePlan, control: ControlPlanePlan) -> None:
        self.plan = plan
        self.is_powered = False
        self.is_connected = False
        self._control = control
        self._daemons = Daemons(control.root)

    def prepare(self, seed: Path) -> None:
        """Give it its identity, its files and the images. Once."""
        name, pki = self.plan.name, self._control.pki
        addresses = [self.plan.ip, name]
        pki.issue(name, f"system:node:{name}", "system:nodes", addresses=addresses)
        path = self._control.kubeconfig(name)
        write_kubeconfig(path, server=self._control.server, pki=pki, user=name)
        node_files.write(self.plan, self._control)
        plant(seed, self.plan.directory / "containerd")

    def switch(self, *, on: bool) -> None:
        """Boot it with the disk it has, or cut its power; nothing when it is so already.

        Returns before a booting node is Ready. After a cut, the kernel has killed every process in
        it, pods included.
        """
        if on and not self.is_powered:
            self._boot()
        elif self.is_powered and not on:
            self._cut()

    def connect(self, *, on: bool) -> None:
        """Plug its cable in or pull it; its processes go on either way.

        Raises:
            HubError: it has no power, hence no cable.
        """
        if not self.is_powered:
            raise HubError(f"{self.plan.name} is off")
        ip(f"link set {self.plan.link} {'up' if on else 'down'}")
        self.is_connected = on

    def import_image(self, archive: Path) -> None:
        """Give it an image while it runs; one that is off imports it when it boots."""
        if self.is_powered:
            inside = ["nsenter", "--mount", f"--target={self._pid}", "--"]
            init = [sys.executable, "-m", "localkube.node_init", self._control.root, self.plan.name]
            run(*inside, *init, archive)

    def _boot(self) -> None:
        init = [sys.executable, "-m", "localkube.node_init", self._control.root, self.plan.name]
        self._daemons.start(self.plan.name, [*OWN_NAMESPACES, "--kill-child=SIGKILL", *init])
        until("a network of its own", self._has_own_network, poll_s=FAST_POLL_S)
        link, pid = self.plan.link, self._pid
        ip(
            f"link add {link} type veth peer name eth0 netns {pid}",
            f"link set {link} master {BRIDGE} up",
            f"route replace {self.plan.pod_net} via {self.plan.ip}",
        )
        self.is_powered = self.is_connected = True

    def _cut(self) -> None:
        self._daemons.stop()
        with contextlib.suppress(CommandError):  # the kernel may have taken the link already
            ip(f"link delete {self.plan.link}")
        root, name = self._control.root, self.plan.name
        # Its cgroups go too, as on a machine without power: a kubelet that found them would look
        # for their containers, 3 s each.
        until("the pods' end", lambda: cgroups.remove(root, name), poll_s=FAST_POLL_S)
        self.is_powered = self.is_connected = False

    @property
    def _pid(self) -> int:
        return self._daemons.pid(self.plan.name)

    def _has_own_network(self) -> bool:
        self._daemons.check()
        return not Path(f"/proc/{self._pid}/ns/net").samefile("/proc/self/ns/net")
