"""The command lines of the control plane. Pure: paths, addresses and seconds in, words out."""

from dataclasses import dataclass
from pathlib import Path

from localkube.pki import Pki
from localkube.tools import program

SERVICE_CIDR = "10.96.0.0/16"
API_CLUSTER_IP = "10.96.0.1"
LOOPBACK = "127.0.0.1"
# The server must advertise an address that is no loopback; where nobody follows it, a documentation
# address (RFC 5737) stands in.
NOWHERE = "192.0.2.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlanePlan:
    """Where the control plane of one cluster lives."""

    root: Path  # logs, keys and etcd's data
    host: str  # the address that the API server binds
    port: int
    etcd_port: int
    etcd_peer_port: int
    outage_s: int  # until a silent node is NotReady, and then until its pods are evicted

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.host}:{self.port}"

    @property
    def pki(self) -> Pki:
        """The cluster's certificate authority."""
        return Pki(self.root / "pki")

    def kubeconfig(self, user: str) -> Path:
        """Return the path of a component's kubeconfig."""
        return self.root / f"{user}.kubeconfig"


def etcd(plan: ControlPlanePlan) -> list[str]:
    """Return etcd without fsync: the data is thrown away with the cluster."""
    client = f"http://{LOOPBACK}:{plan.etcd_port}"
    peer = f"http://{LOOPBACK}:{plan.etcd_peer_port}"
    return [
        program("etcd"),
        f"--data-dir={plan.root}/etcd-data",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def kube_apiserver(plan: ControlPlanePlan) -> list[str]:
    """Return the API server with kubeadm's authorizers and default admission."""
    keys = plan.pki.directory
    alone = plan.host == LOOPBACK
    return [
        program("kube-apiserver"),
        f"--etcd-servers=http://{LOOPBACK}:{plan.etcd_port}",
        f"--bind-address={plan.host}",
        f"--secure-port={plan.port}",
        f"--advertise-address={NOWHERE if alone else plan.host}",
        *(["--endpoint-reconciler-type=none"] if alone else []),
        f"--tls-cert-file={keys}/apiserver.crt",
        f"--tls-private-key-file={keys}/apiserver.key",
        f"--client-ca-file={keys}/ca.crt",
        f"--kubelet-client-certificate={keys}/kubelet-client.crt",
        f"--kubelet-client-key={keys}/kubelet-client.key",
        f"--kubelet-certificate-authority={keys}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={keys}/ca.crt",
        "--requestheader-allowed-names=front-proxy",
        f"--service-account-key-file={keys}/sa.pub",
        f"--service-account-signing-key-file={keys}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--default-not-ready-toleration-seconds={plan.outage_s}",
        f"--default-unreachable-toleration-seconds={plan.outage_s}",
        "--profiling=false",
        "-v=1",
    ]


def kube_controller_manager(plan: ControlPlanePlan) -> list[str]:
    """Return the controllers. They make one token each at start, hence the high request rate."""
    keys = plan.pki.directory
    return [
        program("kube-controller-manager"),
        f"--kubeconfig={plan.kubeconfig('kube-controller-manager')}",
        f"--service-account-private-key-file={keys}/sa.key",
        f"--root-ca-file={keys}/ca.crt",
        f"--cluster-signing-cert-file={keys}/ca.crt",
        f"--cluster-signing-key-file={keys}/ca.key",
        "--use-service-account-credentials=true",
        "--kube-api-qps=300",
        "--kube-api-burst=600",
        "--leader-elect=false",
        "--secure-port=0",
        "--node-monitor-period=1s",
        f"--node-monitor-grace-period={plan.outage_s}s",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
    ]


def kube_scheduler(plan: ControlPlanePlan) -> list[str]:
    """Return the scheduler."""
    return [
        program("kube-scheduler"),
        f"--kubeconfig={plan.kubeconfig('kube-scheduler')}",
        "--leader-elect=false",
        "--secure-port=0",
    ]
