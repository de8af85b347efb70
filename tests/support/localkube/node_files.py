"""The configuration files of a node's daemons. Pure builders, and one function that writes them.

Every daemon uses its default paths: a node has its own /run and /var.
"""

import json

from localkube import cgroups
from localkube.api import Json
from localkube.commands import ControlPlanePlan
from localkube.plan import HUB_IP, NodePlan
from localkube.tools import bin_dir

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
PAUSE_IMAGE = "localhost/pause:1"
DISK_SIGNALS = ("imagefs.available", "nodefs.available", "imagefs.inodesFree", "nodefs.inodesFree")
EVICTION_SIGNALS = (*DISK_SIGNALS, "memory.available")


def kubelet(node: NodePlan, control: ControlPlanePlan) -> Json:
    """Return the kubelet's configuration: a production one but for timers and this machine's limits."""
    keys = control.pki.directory
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.ip,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{keys}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{keys}/{node.name}.crt",
        "tlsPrivateKeyFile": f"{keys}/{node.name}.key",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroups.group_name(control.root)}/{node.name}",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "clusterDNS": [HUB_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{node.directory}/resolv.conf",
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "1s",
        "nodeLeaseDurationSeconds": 4,  # well below the outage that makes a node NotReady
        "failCgroupV1": False,
        "failSwapOn": False,
        "maxOpenFiles": 65536,
        "oomScoreAdj": 0,  # a lower one needs CAP_SYS_RESOURCE
        # The disk is the machine's: what else fills it must not evict pods here.
        "evictionHard": dict.fromkeys(EVICTION_SIGNALS, "0%"),
        "imageGCHighThresholdPercent": 100,
    }


def containerd(node: NodePlan) -> str:
    """Return containerd's configuration."""
    return f"""\
version = 3
root = "{node.directory}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins.'io.containerd.cri.v1.images']
snapshotter = "overlayfs"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{PAUSE_IMAGE}"

[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true  # a lower one needs CAP_SYS_RESOURCE
disable_apparmor = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["{bin_dir()}/cni"]
conf_dir = "{node.directory}/cni"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = "{bin_dir()}/runc"
SystemdCgroup = false
"""


def pod_network(node: NodePlan) -> Json:
    """Return the CNI configuration: a link per pod, no bridge.

    With a bridge, answers between two pods of a node could bypass conntrack behind a Service.
    """
    addresses = {
        "type": "host-local",
        "dataDir": "/run/cni",
        "ranges": [[{"subnet": node.pod_net}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugin = {"type": "ptp", "mtu": 1500, "ipam": addresses}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [plugin]}


def write(node: NodePlan, control: ControlPlanePlan) -> None:
    """Make a node's directories and files."""
    for name in ("var", "work", "kubelet", "cni", "knobs"):
        (node.directory / name).mkdir(parents=True)
    (node.directory / "cni" / "10-ptp.conflist").write_text(json.dumps(pod_network(node)))
    (node.directory / "containerd.toml").write_text(containerd(node))
    (node.directory / "kubelet.json").write_text(json.dumps(kubelet(node, control)))
    (node.directory / "resolv.conf").write_text("")
