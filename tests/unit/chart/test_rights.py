"""The operator's rights are this table, and no others."""

from pathlib import Path

import yaml

from spine_operator.kube import PLURALS
from spine_operator.ports import Kind

FILES = Path(__file__).parents[3] / "charts" / "memory-spine" / "files"

Rights = dict[str, str]  # group/resource → verbs

READ = "get list watch"
CHILD = f"{READ} create patch delete"
WATCHED: Rights = {
    "memoryspine.io/memoryspineclusters": f"{READ} patch",
    "memoryspine.io/memoryspineclusters/status": "get patch",
    "memoryspine.io/memoryspineclusters/finalizers": "update",
    "apps/statefulsets": CHILD,
    "/pods": f"{READ} delete",
    "/persistentvolumeclaims": f"{READ} patch delete",
    "/services": CHILD,
    "/configmaps": CHILD,
    "/secrets": "get create patch delete",
    "policy/poddisruptionbudgets": CHILD,
    "networking.k8s.io/networkpolicies": CHILD,
    "batch/cronjobs": CHILD,
    "monitoring.coreos.com/servicemonitors": CHILD,
    "cert-manager.io/certificates": CHILD,
    "/events": "create patch",
    "events.k8s.io/events": "create patch",
}
OWN: Rights = {"coordination.k8s.io/leases": "get create update"}
CLUSTER_WIDE: Rights = {
    "/nodes": READ,
    "/persistentvolumes": READ,
    "storage.k8s.io/storageclasses": READ,
    "apiextensions.k8s.io/customresourcedefinitions": READ,
    "/namespaces": "list watch",
}


def rights_in(file: str) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for rule in yaml.safe_load((FILES / file).read_text()):
        assert rule.keys() == {"apiGroups", "resources", "verbs"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                name = f"{group}/{resource}"
                assert name not in found, f"{name} is granted twice"
                found[name] = frozenset(rule["verbs"])
    return found


def as_sets(rights: Rights) -> dict[str, frozenset[str]]:
    return {name: frozenset(verbs.split()) for name, verbs in rights.items()}


def test_the_rights_in_a_watched_namespace_are_the_table() -> None:
    assert rights_in("rules.yaml") == as_sets(WATCHED)


def test_the_rights_in_the_operators_own_namespace_are_the_table() -> None:
    assert rights_in("lease-rules.yaml") == as_sets(OWN)


def test_the_optional_rights_outside_of_namespaces_only_read() -> None:
    assert rights_in("cluster-reads.yaml") == as_sets(CLUSTER_WIDE)


def test_the_spec_belongs_to_its_owner() -> None:
    rights = rights_in("rules.yaml")
    assert rights["memoryspine.io/memoryspineclusters"].isdisjoint({"update", "create", "delete"})
    assert "memoryspine.io/memoryspineclusters/scale" not in rights


def test_secrets_are_read_by_name_only() -> None:
    assert rights_in("rules.yaml")["/secrets"].isdisjoint({"list", "watch"})


def test_nothing_is_granted_by_a_wildcard() -> None:
    for file in FILES.glob("*.yaml"):
        if file.name != "memoryspineclusters.yaml":
            for name, verbs in rights_in(file.name).items():
                assert "*" not in name
                assert "*" not in verbs


def test_every_kind_that_the_operator_touches_has_rights() -> None:
    granted = rights_in("rules.yaml") | rights_in("lease-rules.yaml")
    for kind in Kind:
        *group, _ = kind.value.rpartition("/")[0].split("/")
        assert f"{''.join(group)}/{PLURALS[kind]}" in granted
