"""Every child object, byte for byte, as it stands in golden/.

`GOLDEN=write pytest tests/operator/test_manifests.py` writes the files anew; read the diff.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from spine_operator.manifests.budget import disruption_budget
from spine_operator.manifests.config import config_map
from spine_operator.manifests.network import network_policy
from spine_operator.manifests.pod import pod_template
from spine_operator.manifests.services import client_service, headless_service
from spine_operator.manifests.statefulset import image_of, statefulset
from spine_operator.naming import REVISION_LABEL
from spine_operator.resource.spec import ClusterResource

GOLDEN = Path(__file__).parent / "golden"
IMAGE = "localhost/memory-spine-node:1.0.0"
FULL: dict[str, Any] = {
    "topology": {
        "zones": [{"name": "a"}, {"name": "b", "nodeSelector": {"rack": "7"}}],
        "hostSpread": "Required",
    },
    "storage": {"size": "200Gi", "storageClassName": "gp3"},
    "resources": {"requests": {"cpu": "2", "memory": "8Gi"}, "limits": {"memory": "8Gi"}},
    "pod": {
        "labels": {"team": "agents"},
        "annotations": {"note": "x"},
        "priorityClassName": "high",
        "imagePullSecrets": ["registry"],
        "tolerations": [{"key": "spine", "operator": "Exists"}],
    },
    "settings": {"SPINE_LOG_LEVEL": "DEBUG"},
    "service": {"type": "LoadBalancer", "annotations": {"lb": "internal"}},
    "security": {"auth": {"credentialsSecretName": "agents-keys"}},
    "networkPolicy": {
        "allowFrom": [{"namespaceLabels": {"team": "a"}, "podLabels": {"app": "chat"}}]
    },
}


class Plain(yaml.SafeDumper):
    """Writes a value that occurs twice twice: people read these files."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def children(cluster: ClusterResource) -> dict[str, Any]:
    zone = cluster.spec.zones[-1]
    return {
        "headless-service": headless_service(cluster),
        "client-service": client_service(cluster),
        "config-map": config_map(cluster),
        "disruption-budget": disruption_budget(cluster),
        "network-policy": network_policy(cluster),
        "statefulset": statefulset(
            cluster, zone, image=IMAGE, pods=2, claim_size=cluster.spec.storage.size
        ),
    }


@pytest.mark.parametrize("variant", ["smallest", "full", "open"])
def test_children_equal_their_golden_files(variant: str, make_cluster: Any) -> None:
    specs: dict[str, dict[str, Any]] = {
        "smallest": {},
        "full": FULL,
        "open": {"security": {"tls": {"mode": "Disabled"}, "auth": {"mode": "Disabled"}}},
    }
    for name, manifest in children(make_cluster(**specs[variant])).items():
        text = yaml.dump(manifest, Dumper=Plain, sort_keys=True)
        file = GOLDEN / f"{name}.{variant}.yaml"
        if os.environ.get("GOLDEN") == "write":
            file.write_text(text)
        assert text == file.read_text(), f"{file.name} differs"


def test_revision_moves_with_the_template_and_with_nothing_else(make_cluster: Any) -> None:
    def revision(**spec: Any) -> str:
        cluster = make_cluster(**spec)
        template = pod_template(cluster, cluster.spec.zones[0], image=image_of(cluster, "node"))
        return str(template["metadata"]["labels"][REVISION_LABEL])

    same = revision()
    assert revision(replicas=5, consistency={"default": "strong"}) == same
    assert revision(version="1.0.1") != same
    assert revision(settings={"SPINE_LOG_LEVEL": "DEBUG"}) != same


def test_a_digest_pins_the_image(make_cluster: Any) -> None:
    digest = "sha256:" + "0" * 64
    assert image_of(make_cluster(image={"digest": digest}), "node") == f"node@{digest}"
    assert (
        image_of(make_cluster(image={"repository": "mirror/node"}), "node") == "mirror/node:1.0.0"
    )


def test_nodes_never_see_the_clients_key(make_cluster: Any) -> None:
    manifest = children(make_cluster())["statefulset"]
    volumes = {v["name"]: v for v in manifest["spec"]["template"]["spec"]["volumes"]}
    assert [item["key"] for item in volumes["keys"]["secret"]["items"]] == ["keys.yaml"]
    assert "ca" not in {v.get("secret", {}).get("secretName", "")[-3:] for v in volumes.values()}
