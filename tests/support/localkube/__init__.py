"""A real Kubernetes on one Linux machine: no Docker, no container image from outside, no virtual machine.

`ControlPlane` is etcd, API server, controllers and scheduler as child processes; it needs no root.
`running` adds real nodes, each a process tree in namespaces of its own, and gives a `Cluster`, whose
nodes lose power or their cable on request. Invariant: all of it dies with the process that started
it, by kernel means, and leaves nothing but its logs.
"""

from localkube.cluster import Cluster, running
from localkube.controlplane import ControlPlane
from localkube.leftovers import leftovers

__all__ = ["Cluster", "ControlPlane", "leftovers", "running"]
