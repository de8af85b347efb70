"""The fixtures of a real cluster, and the operator on it."""

import pytest

from localkube import Cluster
from localkube.fixtures import cluster, cluster_namespace
from localkube.tools import bin_dir
from readme import README, REPOSITORY, Terminal, lines_of

__all__ = ["cluster", "cluster_namespace", "operator"]


@pytest.fixture(scope="session")
def operator(cluster: Cluster) -> None:
    """The operator, installed by the README's own command: one for all tests, as in a real cluster."""
    install, *_ = lines_of(README.block("Run it on Kubernetes", "sh"))
    terminal = Terminal(REPOSITORY, bin_dir(), KUBECONFIG=str(cluster.kubeconfig))
    terminal.run(f"{install} --take-ownership")  # the fixture has applied the definition before
    words = ("status", "deployment/memory-spine", "--namespace=memory-spine-system")
    cluster.kubectl("rollout", *words, "--timeout=120s")
