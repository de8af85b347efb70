"""The operator's rights are this table, and no others."""

from pathlib import Path

import yaml

from spine_operator.kube import PLURALS
from spine_operator.ports import Kind

FILES = Path(__file__).parents[3] / "charts" / "memory-spine" / "files"

Rights = dict[str, str]  # group/resource → verbs

WATCH = "list watch"  # what wakes a daemon
CHILD = "get create patch"
WATCHED: Rights = {
    "memoryspine.io/memoryspineclusters": f"get {WATCH} patch",
    "memoryspine.io/memoryspineclusters/status": "patch",
    "memoryspine.io/memoryspineclusters/finalizers": "update",
    "apps/statefulsets": f"{CHILD} {WATCH} delete",
    "/pods": WATCH,
    "/persistentvolumeclaims": f"{WATCH} patch delete",
    "/services": CHILD,
    "/configmaps": f"{CHILD} {WATCH} delete",
    "/secrets": f"{CHILD} delete",
    "policy/poddisruptionbudgets": CHILD,
    "networking.k8s.io/networkpolicies": f"{CHILD} delete",
    "events.k8s.io/events": "create",
}
OWN: Rights = {"coordination.k8s.io/leases": "get create update"}
CLUSTER_WIDE: Rights = {
    "apiextensions.k8s.io/customresourcedefinitions": f"get {WATCH}",
    "/namespaces": WATCH,
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
    assert rights_in("scan-rules.yaml") == as_sets(CLUSTER_WIDE)


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
