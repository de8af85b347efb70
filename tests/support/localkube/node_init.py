"""The first process of a node, PID 1 of its PID namespace: mounts, network, daemons, then reaping.

    python -m localkube.node_init ROOT NAME             boot and stay
    python -m localkube.node_init ROOT NAME ARCHIVE     import an image, beside the first process

When it is killed, the kernel kills everything in the node with it: a power cut.
"""

import os
import sys
from pathlib import Path

from localkube import cgroups
from localkube.clock import until
from localkube.network import forward_packets, ip
from localkube.node_files import CONTAINERD_SOCKET
from localkube.plan import HUB_IP, POD_CIDR, ClusterPlan, NodePlan
from localkube.processes import Daemons, run
from localkube.seed import import_image
from localkube.tools import bin_dir, program

# The kubelet would retune the whole machine, and ends if it may not. It reads what it wants to read:
# files with these values lie over the knobs.
KNOBS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
KUBELET_DIR = Path("/var/lib/kubelet")
FAST_POLL_S = 0.02  # the boot of a node is part of what tests wait for


def main(root: Path, name: str, archive: str | None = None) -> None:
    """Boot the node and stay until killed; or import one image into it."""
    plan = ClusterPlan.load(root)
    node = next(node for node in plan.nodes if node.name == name)
    if archive:
        import_image(node.directory / "containerd", Path(archive), CONTAINERD_SOCKET)
    else:
        boot(plan, node)


def boot(plan: ClusterPlan, node: NodePlan) -> None:
    """Become the node: never returns."""
    _mount(node)
    cgroups.create(plan.root, node.name)
    _connect(plan, node)
    os.environ["PATH"] = f"{bin_dir()}:{os.environ['PATH']}"
    os.chdir(node.directory)
    daemons = Daemons(plan.root)
    daemons.start(f"{node.name}.containerd", [program("containerd"), "--config=containerd.toml"])
    until("containerd", Path(CONTAINERD_SOCKET).exists, poll_s=FAST_POLL_S)
    for archive in sorted(plan.images.glob("*.tar")):
        import_image(node.directory / "containerd", archive, CONTAINERD_SOCKET)
    kubelet = daemons.start(f"{node.name}.kubelet", _kubelet(plan, node))
    proxy = daemons.start(f"{node.name}.kube-proxy", _kube_proxy(plan, node))
    _reap({kubelet: "kubelet", proxy: "kube-proxy"})


def _mount(node: NodePlan) -> None:
    own = node.directory
    run("mount", "--make-rprivate", "/")
    layers = f"lowerdir=/var,upperdir={own}/var,workdir={own}/work"
    run("mount", "-t", "overlay", "overlay", "-o", layers, "/var")
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    KUBELET_DIR.mkdir(exist_ok=True)  # at its default path: the names of its sockets must be short
    run("mount", "--bind", own / "kubelet", KUBELET_DIR)
    run("mount", "--make-rshared", "/")
    for knob, value in KNOBS.items():
        file = own / "knobs" / value
        file.write_text(value)
        run("mount", "--bind", file, f"/proc/sys/{knob}")


def _connect(plan: ClusterPlan, node: NodePlan) -> None:
    eth0 = Path("/proc/sys/net/ipv4/conf/eth0")
    until("the cable", eth0.exists, poll_s=FAST_POLL_S)  # the hub plugs it in
    others = [other for other in plan.nodes if other != node]
    ip(
        "link set lo up",
        f"addr add {node.ip}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {HUB_IP}",
        *(f"route add {other.pod_net} via {other.ip}" for other in others),
    )
    forward_packets()


def _kubelet(plan: ClusterPlan, node: NodePlan) -> list[str]:
    zone, region = f"topology.kubernetes.io/zone={node.zone}", "topology.kubernetes.io/region=local"
    return [
        program("kubelet"),
        "--config=kubelet.json",
        f"--kubeconfig={plan.root}/{node.name}.kubeconfig",
        f"--hostname-override={node.name}",
        f"--node-ip={node.ip}",
        f"--root-dir={KUBELET_DIR}",
        f"--node-labels={zone},{region}",
        "-v=1",
    ]


def _kube_proxy(plan: ClusterPlan, node: NodePlan) -> list[str]:
    return [
        program("kube-proxy"),
        f"--kubeconfig={plan.root}/kube-proxy.kubeconfig",
        "--proxy-mode=nftables",
        f"--hostname-override={node.name}",
        f"--bind-address={node.ip}",
        f"--cluster-cidr={POD_CIDR}",  # requests of the hub to a Service are masqueraded
        "--conntrack-max-per-core=0",  # these belong to the machine
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
    ]


def _reap(daemons: dict[int, str]) -> None:
    while True:
        pid, status = os.wait()
        if pid in daemons:
            sys.stderr.write(f"{daemons[pid]} ended with {os.waitstatus_to_exitcode(status)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
