"""A Kubernetes control plane as child processes, on loopback unless told otherwise.

Measured on two busy cores: ready after 3-4 s, pods accepted 1-2 s later, 470 MiB.
"""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from localkube import commands
from localkube.api import Api
from localkube.clock import now_s, until
from localkube.commands import API_CLUSTER_IP, LOOPBACK, ControlPlanePlan
from localkube.kubeconfig import write_kubeconfig
from localkube.kubectl import Kubectl
from localkube.leftovers import LOGS
from localkube.processes import Daemons, free_port

DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
SERVICE_NAMES = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
SERVER_NAMES = ["localhost", *SERVICE_NAMES, "kubernetes.default.svc.cluster.local"]


class ControlPlane:
    """etcd, API server, controllers and scheduler. Owns its directory but for `logs` in it."""

    def __init__(
        self, root: Path, *, host: str = LOOPBACK, port: int | None = None, outage_s: int = 10
    ) -> None:
        self.plan = ControlPlanePlan(
            root=root,
            host=host,
            port=port or free_port(),
            etcd_port=free_port(),
            etcd_peer_port=free_port(),
            outage_s=outage_s,
        )
        self.logs_dir = root / LOGS
        self.daemons = Daemons(root)
        self._began_s = now_s()
        self.timings_s: dict[str, float] = {}  # what -> seconds after the start
        self.kubeconfig = self.plan.kubeconfig("admin")
        self.kubectl = Kubectl(self.kubeconfig)

    def __enter__(self) -> Self:
        try:
            self.start()
            self.settle()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything; return when the API server is ready.

        Raises:
            ToolsMissingError: build.sh has not run.
            DaemonDiedError, DeadlineError: with the reason.
        """
        self._began_s = now_s()
        self._certificates()
        self.api = Api(self.plan.server, self.plan.pki)
        self.daemons.start("etcd", commands.etcd(self.plan))
        self.daemons.start("kube-apiserver", commands.kube_apiserver(self.plan))
        until("kube-apiserver ready", self._is_ready)
        self.timings_s["api server ready"] = now_s() - self._began_s
        manager = commands.kube_controller_manager(self.plan)
        self.daemons.start("kube-controller-manager", manager)
        self.daemons.start("kube-scheduler", commands.kube_scheduler(self.plan))

    def settle(self) -> None:
        """Return when pods are accepted; before, they are refused for want of an account."""
        until("default ServiceAccount", self._is_settled)
        self.timings_s["settled"] = now_s() - self._began_s

    def account_kubeconfig(self, namespace: str, account: str) -> Path:
        """Write a kubeconfig with a fresh two-hour token of a ServiceAccount."""
        token = self.kubectl(
            "create", "token", account, f"--namespace={namespace}", "--duration=2h"
        )
        return write_kubeconfig(
            self.plan.root / f"{namespace}.{account}.kubeconfig",
            server=self.plan.server,
            pki=self.plan.pki,
            user=account,
            token=token,
            namespace=namespace,
        )

    def stop(self) -> None:
        """End what `start` began and remove all but the logs."""
        self.daemons.stop()
        for path in (self.plan.root / "etcd-data", self.plan.pki.directory):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.plan.root.glob("*.kubeconfig"):
            path.unlink()

    def _is_ready(self) -> bool:
        self.daemons.check()
        return self.api.is_ready()

    def _is_settled(self) -> bool:
        self.daemons.check()
        return self.api.has(DEFAULT_ACCOUNT)

    def _certificates(self) -> None:
        pki, server = self.plan.pki, self.plan.server
        pki.create()
        addresses = [LOOPBACK, self.plan.host, API_CLUSTER_IP, *SERVER_NAMES]
        pki.issue("apiserver", "kube-apiserver", addresses=list(dict.fromkeys(addresses)))
        pki.issue("kubelet-client", "kube-apiserver-kubelet-client", "system:masters")
        pki.issue("admin", "admin", "system:masters")
        write_kubeconfig(self.kubeconfig, server=server, pki=pki)
        for component in ("kube-controller-manager", "kube-scheduler"):
            pki.issue(component, f"system:{component}")
            path = self.plan.kubeconfig(component)
            write_kubeconfig(path, server=server, pki=pki, user=component)
