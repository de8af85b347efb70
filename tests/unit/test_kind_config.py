"""kind-config.yaml under a reader as strict as kind's own: unknown fields and roles are errors."""

from pathlib import Path
from typing import Literal

import msgspec
import yaml

CONFIG = Path(__file__).parents[2] / "kind-config.yaml"
ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"


class Node(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["control-plane", "worker"]
    labels: dict[str, str] = {}


class Config(msgspec.Struct, forbid_unknown_fields=True):
    kind: Literal["Cluster"]
    apiVersion: Literal["kind.x-k8s.io/v1alpha4"]  # noqa: N815 - kind's spelling
    name: str
    nodes: list[Node]


def read() -> Config:
    return msgspec.convert(yaml.safe_load(CONFIG.read_text()), Config)


def test_kind_has_one_control_plane_and_four_workers() -> None:
    roles = [node.role for node in read().nodes]
    assert roles == ["control-plane", *["worker"] * 4]


def test_each_worker_has_a_zone_of_its_own() -> None:
    workers = [node for node in read().nodes if node.role == "worker"]
    assert [node.labels[ZONE] for node in workers] == [f"us-east-1{zone}" for zone in "abcd"]
    assert {node.labels[REGION] for node in workers} == {"us-east-1"}
