"""The static cluster file is read as it stands, and nothing in it is guessed or overlooked."""

from pathlib import Path

import pytest

from spine_core.errors import InvalidInputError
from spine_core.records.consistency import SEED, Model, Override
from spine_node.cluster_file import load_cluster_file, load_configuration
from spine_node.cluster_secret import (
    admin_token,
    load_or_make_secret,
    load_secrets,
    make_secret,
    secret_path,
)

SEED_FILE = """
cluster:
  name: agents
  nodes:
  - {id: spine-1, host: 10.0.1.10, port: 8788, role: primary, zone: us-east-1a}
  - {id: spine-2, host: 10.0.2.10, port: 8788, role: primary, zone: us-east-1b}
  - {id: spine-3, host: 10.0.3.10, port: 8788, role: primary, zone: us-east-1c}
  replication: {factor: 3, write_quorum: 2, read_quorum: 1}
  consistency:
    default: read-your-writes
    overrides:
    - {tags: [critical, lock], model: strong}
    - {tags: [analytics, metric], model: eventual}
"""
LOOPBACK_FILE = """
cluster:
  name: dev
  nodes: [{id: a, host: 127.0.0.1}, {id: b, host: localhost, port: 2}]
  replication: {factor: 2}
"""


def _written(directory: Path, text: str) -> Path:
    path = directory / "cluster.yaml"
    path.write_text(text)
    return path


def test_the_seed_file_is_read_as_it_stands(tmp_path: Path) -> None:
    file = load_cluster_file(_written(tmp_path, SEED_FILE))
    assert (file.name, file.factor, file.write_quorum) == ("agents", 3, 2)
    assert [node.address for node in file.nodes] == [
        "10.0.1.10:8788",
        "10.0.2.10:8788",
        "10.0.3.10:8788",
    ]
    assert file.node("spine-2").zone == "us-east-1b"
    assert (file.configuration.consistency, file.configuration.read_quorum) == (SEED, 1)
    assert (file.zone_policy, file.strategy, file.virtual_nodes) == ("strict", "hash", 150)
    assert not file.is_loopback


def test_what_is_left_out_has_the_defaults_of_the_design(tmp_path: Path) -> None:
    file = load_cluster_file(_written(tmp_path, LOOPBACK_FILE))
    assert (file.node("a").port, file.node("a").zone, file.write_quorum) == (8788, "default", 2)
    assert file.configuration.consistency == SEED
    assert file.is_loopback


def test_the_operators_config_has_the_same_sections(tmp_path: Path) -> None:
    text = """
replication: {read_quorum: 2}
consistency: {default: causal, overrides: [{tags: [x], model: strong}]}
"""
    configuration = load_configuration(_written(tmp_path, text))
    assert configuration.read_quorum == 2
    assert configuration.consistency.default is Model.CAUSAL
    assert configuration.consistency.overrides == (Override(frozenset({"x"}), Model.STRONG),)


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("replication:", "replicaton:", "cluster.replicaton"),
        ("factor: 3", "facter: 3", "cluster.replication.facter"),
        ("role: primary", "role: secondary", "cluster.nodes[0].role"),
        ("host: 10.0.1.10, ", "", "cluster.nodes[0].host"),
        ("port: 8788", "port: 88888", "cluster.nodes[0].port"),
        ("write_quorum: 2", "write_quorum: 1", "cluster.replication.write_quorum"),
        ("write_quorum: 2", "write_quorum: 4", "cluster.replication.write_quorum"),
        ("read_quorum: 1", "read_quorum: 4", "cluster.replication.read_quorum"),
        ("factor: 3, write_quorum: 2", "factor: 5", "cluster.nodes"),
        ("spine-2", "spine-1", "cluster.nodes"),
        ("10.0.2.10", "10.0.1.10", "cluster.nodes"),
        ("model: strong", "model: linearizable", "cluster.consistency.overrides[0].model"),
        ("[critical, lock]", "critical", "cluster.consistency.overrides[0].tags"),
        ("cluster:\n", "clusters:\n", "clusters"),
    ],
)
def test_whatever_is_wrong_stops_the_start_and_is_named(
    old: str, new: str, path: str, tmp_path: Path
) -> None:
    text = SEED_FILE.replace(old, new, 1)
    with pytest.raises(InvalidInputError) as refused:
        load_cluster_file(_written(tmp_path, text))
    assert refused.value.path == path


@pytest.mark.parametrize("text", ["cluster: [", "- a list", ""])
def test_a_file_that_is_no_object_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError):
        load_cluster_file(_written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"nowhere\.yaml: cannot be read"):
        load_cluster_file(tmp_path / "nowhere.yaml")


def test_an_unknown_node_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="spine-1, spine-2, spine-3"):
        load_cluster_file(_written(tmp_path, SEED_FILE)).node("spine-9")


def test_a_cluster_on_this_machine_makes_its_secret_once(tmp_path: Path) -> None:
    path = _written(tmp_path, LOOPBACK_FILE)
    cluster = load_cluster_file(path)
    first = load_or_make_secret(path, cluster, bytes(32))
    second = load_or_make_secret(path, cluster, bytes(range(32)))
    assert first == second == (b"00" * 32,)
    assert secret_path(path).stat().st_mode & 0o777 == 0o600
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cluster.secret", "cluster.yaml"]


def test_a_cluster_of_several_machines_asks_for_its_secret(tmp_path: Path) -> None:
    path = _written(tmp_path, SEED_FILE)
    with pytest.raises(InvalidInputError, match="spine key secret"):
        load_or_make_secret(path, load_cluster_file(path), bytes(32))
    assert not secret_path(path).exists()


def test_two_secrets_are_accepted_while_one_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "cluster.secret"
    make_secret(path, bytes(32))
    with pytest.raises(FileExistsError):
        make_secret(path, bytes(32))
    path.write_text(f"{'ab' * 32}\n{path.read_text()}")
    newest, oldest = load_secrets(path)
    assert (newest, oldest) == (b"ab" * 32, b"00" * 32)
    assert admin_token(newest) != admin_token(oldest)
