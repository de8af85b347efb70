"""What the README says about Kubernetes is what happens on real nodes."""

import json
import shutil
from pathlib import Path

import pytest

from demo.watch import settled
from localkube import Cluster
from localkube.clock import until
from localkube.tools import bin_dir
from readme import README, REPOSITORY, Terminal, lines_of

KUBERNETES = "Run it on Kubernetes"
QUICKSTART = Path("examples", "quickstart.yaml")
ZONES = {f"us-east-1{letter}": letter for letter in "abcd"}  # of the page → of this cluster
READY_S = 180


@pytest.fixture
def terminal(cluster: Cluster, cluster_namespace: str, tmp_path: Path) -> Terminal:
    """A terminal whose kubectl works in this test's namespace, with examples for these zones."""
    kubeconfig = tmp_path / "kubeconfig"
    shutil.copy(cluster.kubeconfig, kubeconfig)
    example = tmp_path / QUICKSTART
    example.parent.mkdir()
    example.write_text(in_our_zones((REPOSITORY / QUICKSTART).read_text(encoding="utf-8")))
    terminal = Terminal(tmp_path, bin_dir(), KUBECONFIG=str(kubeconfig))
    terminal.run(f"kubectl config set-context --current --namespace={cluster_namespace}")
    return terminal


def in_our_zones(text: str) -> str:
    for theirs, ours in ZONES.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    return text


@pytest.mark.usefixtures("operator")
def test_the_commands_of_the_readme_make_a_cluster_and_grow_it(terminal: Terminal) -> None:
    _install, apply, get, scale = lines_of(README.block(KUBERNETES, "sh"))

    def in_force(nodes: int) -> bool:
        [found] = json.loads(terminal.run("kubectl get msc -o json"))["items"]
        return settled(found, nodes)

    terminal.run(apply)
    until("three nodes", lambda: in_force(3), deadline_s=READY_S)
    header, row = terminal.run(get).splitlines()
    assert dict(zip(header.split(), row.split(), strict=False))["READY"] == "True"
    terminal.run(scale)
    until("four nodes", lambda: in_force(4), deadline_s=READY_S)


def test_the_resource_of_the_readme_is_accepted_strictly(terminal: Terminal) -> None:
    (terminal.directory / "cluster.yaml").write_text(README.block(KUBERNETES, "yaml"))
    terminal.run("kubectl apply --dry-run=server --validate=strict -f cluster.yaml")
