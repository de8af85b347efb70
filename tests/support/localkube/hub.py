"""The hub of a cluster: control plane, DNS, volumes and the nodes, in one network namespace.

    python -m localkube.hub ROOT      started by `keeper` inside `unshare --net`

Nodes and programs are started from the main thread only: they die with the thread that started them.
"""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from localkube import hub_socket, tools
from localkube.api import Json, is_ready
from localkube.clock import now_s, until
from localkube.commands import SERVICE_CIDR
from localkube.controlplane import ControlPlane
from localkube.errors import HubError
from localkube.kubeconfig import write_kubeconfig
from localkube.network import forward_packets, ip
from localkube.node import Node
from localkube.plan import API_PORT, BRIDGE, HUB_IP, ClusterPlan
from localkube.processes import dies_with_parent, run
from localkube.relay import Relay
from localkube.seed import seed_of
from localkube.volumes import Provisioner

DNS_CONFIGURATION = """\
.:53 {{
  bind {ip}
  errors
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {kubeconfig}
    pods insecure
    ttl 1
  }}
}}
"""
READY_DEADLINE_S = 120  # nodes import their images first


class Hub:
    """Brings a cluster up and then does what it is asked to do."""

    def __init__(self, plan: ClusterPlan) -> None:
        self.plan = plan
        self.control = ControlPlane(plan.root, host=HUB_IP, port=API_PORT)
        self.nodes = {node.name: Node(node, self.control.plan) for node in plan.nodes}
        self.relay = Relay()

    def up(self) -> dict[str, float]:
        """Start everything; return what took how many seconds when all nodes are Ready."""
        began_s = now_s()
        run("mount", "-t", "tmpfs", "tmpfs", self.plan.disks)
        self._connect()
        unpacking = self._start_unpacking()
        self.control.start()
        self._start_dns()
        self._issue("kube-proxy")
        self._wait_for(unpacking)
        for node in self.nodes.values():
            node.prepare(seed_of(self.plan))
            node.switch(on=True)
        self._route_services()
        provisioner = Provisioner(self.control.api, self.plan.volumes)
        provisioner.install()
        threading.Thread(target=provisioner.run, name="volumes", daemon=True).start()
        self.control.settle()
        until("nodes Ready", self._are_ready, deadline_s=READY_DEADLINE_S)
        return {**self.control.timings_s, "nodes ready": now_s() - began_s}

    def handle(self, request: Json, fds: Sequence[int]) -> Json:
        """Do one thing; see the methods of `cluster.Cluster`, which ask for them.

        Raises:
            HubError: nobody can do that.
        """
        match request:
            case {"do": "power", "node": str(name), "on": bool(on)}:
                self._node(name).switch(on=on)
                self._route_services()
            case {"do": "cable", "node": str(name), "on": bool(on)}:
                self._node(name).connect(on=on)
                self._route_services()
            case {"do": "image", "archive": str(archive)}:
                for node in self.nodes.values():
                    node.import_image(Path(archive))
            case {"do": "relay", "host": str(host), "port": int(port)}:
                self.relay.add(socket.socket(fileno=fds[0]), host, port)
            case {"do": "status"}:
                return {"nodes": {name: self._state(node) for name, node in self.nodes.items()}}
            case _:
                raise HubError(f"unknown request {request}")
        return {}

    def _connect(self) -> None:
        ip(
            "link set lo up",
            f"link add {BRIDGE} type bridge forward_delay 0",
            f"addr add {HUB_IP}/24 dev {BRIDGE}",
            f"link set {BRIDGE} up",
        )
        forward_packets()

    def _start_unpacking(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "localkube.seed", self.plan.root]
        return subprocess.Popen(dies_with_parent(argv), stdin=subprocess.DEVNULL)

    def _wait_for(self, unpacking: subprocess.Popen[bytes]) -> None:
        if unpacking.wait(timeout=READY_DEADLINE_S):
            raise HubError("the images cannot be unpacked; see hub.log and seed.containerd.log")

    def _route_services(self) -> None:
        """Send what the hub has for a Service to the first reachable node: its kube-proxy knows."""
        reachable = [node for node in self.nodes.values() if node.is_connected]
        if reachable:
            ip(f"route replace {SERVICE_CIDR} via {reachable[0].plan.ip}")

    def _start_dns(self) -> None:
        kubeconfig = self._issue("coredns", "system:masters")
        configuration = self.plan.root / "Corefile"
        configuration.write_text(DNS_CONFIGURATION.format(ip=HUB_IP, kubeconfig=kubeconfig))
        coredns = tools.program("coredns")
        self.control.daemons.start("coredns", [coredns, "-conf", configuration])

    def _issue(self, component: str, organization: str = "") -> Path:
        plan = self.control.plan
        plan.pki.issue(component, f"system:{component}", organization)
        path = plan.kubeconfig(component)
        return write_kubeconfig(path, server=plan.server, pki=plan.pki, user=component)

    def _are_ready(self) -> bool:
        self.control.daemons.check()
        nodes = self.control.api.items("/api/v1/nodes")
        return len(nodes) == len(self.nodes) and all(map(is_ready, nodes))

    def _node(self, name: str) -> Node:
        if name not in self.nodes:
            raise HubError(f"no node {name}; there are {', '.join(self.nodes)}")
        return self.nodes[name]

    def _state(self, node: Node) -> Json:
        return {
            "zone": node.plan.zone,
            "power": node.is_powered,
            "cable": node.is_connected,
        }


def main(root: Path) -> None:
    """Be the hub of the cluster planned in `root`, until killed."""
    logging.basicConfig(format="%(asctime)s %(message)s")
    hub = Hub(ClusterPlan.load(root))
    timings = {what: round(seconds, 1) for what, seconds in hub.up().items()}
    (root / "timings.json").write_text(json.dumps(timings))
    hub_socket.serve(root, hub.handle)


if __name__ == "__main__":
    os.umask(0o022)  # pods' users read what nodes write
    main(Path(sys.argv[1]))
