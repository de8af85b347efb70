"""Names and addresses of one cluster with nodes. Pure, but for the one file that carries it.

    hub    10.200.0.1       control plane, DNS, a bridge; a network namespace of its own
    node k 10.200.0.(10+k)  a machine: network, mounts and processes of its own, one link to the bridge
    pods   10.244.k.0/24    routed to node k

These networks exist inside the hub only; any number of clusters may run side by side.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from localkube.leftovers import LINK_PREFIX

HUB_IP = "10.200.0.1"
API_PORT = 6443
POD_CIDR = "10.244.0.0/16"
BRIDGE = f"{LINK_PREFIX}hub"
ROOT_CHARS_MAX = 80  # a unix socket's path, 107 at most, begins with it
NODES_MAX = 200  # addresses in the hub's /24
OWN_DIRECTORIES = ("/var", "/run")  # every node has its own; the cluster's files cannot lie there


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """One node. `index` counts from 1."""

    name: str
    zone: str
    index: int
    directory: Path  # its disk and its daemons' files

    @property
    def ip(self) -> str:
        """The node's address."""
        return f"10.200.0.{10 + self.index}"

    @property
    def pod_net(self) -> str:
        """The addresses of its pods."""
        return f"10.244.{self.index}.0/24"

    @property
    def link(self) -> str:
        """The hub's end of its cable; the node's end is eth0."""
        return f"{LINK_PREFIX}{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """Where a cluster lives and which nodes it has."""

    root: Path
    zones: tuple[str, ...]
    nodes_per_zone: int = 1

    @classmethod
    def make(cls, root: Path, zones: Sequence[str], nodes_per_zone: int) -> Self:
        """Return a plan.

        Raises:
            ValueError: the directory or the number of nodes is impossible.
        """
        root = root.absolute()
        if any(root.is_relative_to(own) for own in OWN_DIRECTORIES):
            raise ValueError(f"{root} lies under {' or '.join(OWN_DIRECTORIES)}")
        if len(str(root)) > ROOT_CHARS_MAX:
            raise ValueError(f"{root} has more than {ROOT_CHARS_MAX} characters")
        if not 1 <= len(zones) * nodes_per_zone <= NODES_MAX:
            raise ValueError(f"between 1 and {NODES_MAX} nodes")
        return cls(root=root, zones=tuple(zones), nodes_per_zone=nodes_per_zone)

    @classmethod
    def load(cls, root: Path) -> Self:
        """Read the plan of the cluster in `root`."""
        facts = json.loads((root / "plan.json").read_text())
        return cls.make(root, facts["zones"], facts["nodes_per_zone"])

    def save(self) -> None:
        """Write the plan to where `load` finds it."""
        facts = {"zones": self.zones, "nodes_per_zone": self.nodes_per_zone}
        (self.root / "plan.json").write_text(json.dumps(facts))

    @property
    def nodes(self) -> tuple[NodePlan, ...]:
        """The nodes, zone by zone: `node-ZONE`, `node-ZONE-2`, ..."""
        names = [
            (zone, f"node-{zone}" + (f"-{number}" if number > 1 else ""))
            for zone in self.zones
            for number in range(1, self.nodes_per_zone + 1)
        ]
        return tuple(
            NodePlan(name=name, zone=zone, index=index, directory=self.disks / name)
            for index, (zone, name) in enumerate(names, 1)
        )

    @property
    def disks(self) -> Path:
        """The nodes' disks: memory of the hub's, gone with it. Volumes lie elsewhere, on a real disk."""
        return self.root / "disks"

    @property
    def images(self) -> Path:
        """The directory of image archives that every node imports when it boots."""
        return self.root / "images"

    @property
    def volumes(self) -> Path:
        """The directory of the persistent volumes, one directory each."""
        return self.root / "volumes"
