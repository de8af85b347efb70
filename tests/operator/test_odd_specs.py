"""What people write, change and delete: nothing is ignored in silence, nothing hangs, nothing crashes."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from admission.crd import SCHEMA
from admission.structural import fill_defaults
from kubedouble.fake_cluster import KEY, ZONES, FakeKubeCluster, is_blocked_by
from spine_operator.manifests.network import network_policy
from spine_operator.naming import FINALIZER, INSTANCE_LABEL, ClusterKey
from spine_operator.ports import Json, Kind
from spine_operator.reconcile import reconcile
from spine_operator.resource.spec import parse_spec
from spine_operator.resource.unsupported import UNBUILT
from spine_operator.status.builder import TARGETS_MAX, is_ready

THREE: dict[str, Any] = {"replicas": 3, "topology": {"zones": ZONES}}
LABELS = {"memoryspine.io/cluster": KEY.name}
MALFORMED = {"bandwidthPerNode": "32MB/s"}  # as an older definition let it in

# Inert while the mode beside them is one that is built.
INERT = ("repair.", "retention.pruning.", "retention.consolidation.", "monitoring.", "backup.")
ELSEWHERE = {"security.tls.secretName", "security.tls.issuerRef", "storage.whenDeleted"}


async def settled(**spec: Any) -> FakeKubeCluster:
    fake = FakeKubeCluster(**{**THREE, **spec})
    await fake.settle()
    return fake


async def reconcile_passes(fake: FakeKubeCluster, count: int = 5) -> None:
    for _ in range(count):
        await fake.reconcile_pass()


def foreign(kind: str, name: str, **content: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": KEY.namespace, "labels": dict(LABELS)}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **content}


class Watched(dict[str, Any]):
    """A JSON object that notes which of its fields somebody reads."""

    def __init__(self, value: Mapping[str, Any], path: str, seen: set[str]) -> None:
        super().__init__(
            {
                name: Watched(inner, f"{path}{name}.", seen) if isinstance(inner, dict) else inner
                for name, inner in value.items()
            }
        )
        self._path, self._seen = path, seen

    def __getitem__(self, name: str) -> Any:
        self._seen.add(f"{self._path}{name}")
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._seen.add(f"{self._path}{name}")
        return super().get(name, default)


def fields_of(schema: Json, path: str = "") -> Iterator[str]:
    """Yield the paths of all fields that are no objects with named fields."""
    for name, inner in schema["properties"].items():
        if "properties" in inner:
            yield from fields_of(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_every_field_of_the_spec_is_read_or_refused() -> None:
    seen: set[str] = set()
    resource = {"spec": {"version": "1.0.0", "storage": {"size": "1Gi"}}}
    fill_defaults(SCHEMA, resource)
    parse_spec(Watched(resource["spec"], "", seen))
    ignored = [
        path
        for path in fields_of(SCHEMA["properties"]["spec"])
        if not any(path == one or path.startswith(f"{one}.") for one in (*seen, *UNBUILT))
        and not path.startswith(INERT)
        and path.removesuffix(".name").removesuffix(".kind") not in ELSEWHERE
    ]
    assert ignored == []


async def test_a_spec_that_cannot_be_read_is_named_and_the_cluster_can_be_deleted() -> None:
    fake = await settled()
    fake.change_spec(rebalance=MALFORMED)
    await reconcile_passes(fake)
    assert fake.condition("Stalled")["reason"] == "ConfigRefused"
    assert fake.condition("ConfigValid")["status"] == "False"
    assert "32MB/s" in fake.condition("Ready")["message"]
    assert fake.condition("Ready")["observedGeneration"] == 2
    assert fake.condition("Available")["status"] == "True"
    writes = len(fake.kube.writes)
    await reconcile_passes(fake)
    assert fake.kube.writes[writes:] == []
    fake.delete_cluster()
    await fake.settle()
    assert fake.find(Kind.CLUSTER, KEY.name) is None
    assert len(fake.all(Kind.CLAIM)) == 3


async def test_what_kubernetes_refuses_is_said_and_passes_with_the_next_spec() -> None:
    fake = await settled()
    why = "422 spec.template.spec.containers[0].resources: Invalid value"
    fake.kube.invalid[Kind.STATEFULSET] = why
    fake.change_spec(resources={"requests": {"memory": "lots"}})
    await reconcile_passes(fake)
    assert fake.condition("Stalled")["reason"] == "ConfigRefused"
    assert "StatefulSet spine-a" in fake.condition("Stalled")["message"]
    assert "resources: Invalid value" in fake.condition("Ready")["message"]
    fake.kube.invalid.clear()
    fake.change_spec(resources={"requests": {"memory": "1Gi"}})
    await reconcile_passes(fake)
    assert fake.condition("Stalled") == {}
    assert fake.condition("ConfigValid")["status"] == "True"


async def test_what_only_bears_our_label_is_left_alone() -> None:
    fake = await settled(storage={"size": "1Gi", "whenDeleted": "Delete"})
    requests = {"resources": {"requests": {"storage": "1Gi"}}}
    fake.kube.add(foreign("Pod", "agent", spec={}, status={}))
    backup = fake.kube.add(foreign("PersistentVolumeClaim", "backup", spec=requests))
    fake.change_spec(replicas=4)
    await fake.settle()
    fake.change_spec(replicas=3)
    await fake.settle()
    fake.delete_cluster()
    await fake.settle()
    assert fake.find(Kind.CLAIM, "backup") == backup
    assert [one["metadata"]["name"] for one in fake.all(Kind.CLAIM)] == ["backup"]


@pytest.mark.parametrize(
    ("seat", "zone"),
    [
        ("a-b-0", "b"),
        ("a-b-c-12", "b-c"),
        ("a-0", None),
        ("a-b-", None),
        ("b-a-b-0", None),
        ("a-b-0-x", None),
    ],
)
def test_a_seats_name_tells_its_zone(seat: str, zone: str | None) -> None:
    assert ClusterKey("agents", "a").zone_of(seat) == zone


async def test_the_policy_goes_when_the_spec_does_without_even_in_the_middle_of_a_change() -> None:
    fake = await settled()
    fake.nodes.pulling = False
    fake.change_spec(replicas=4, networkPolicy={"mode": "None"})
    await reconcile_passes(fake)
    assert fake.find(Kind.NETWORK_POLICY, KEY.name) is None
    fake.change_spec(networkPolicy={"mode": "Managed"})
    await reconcile_passes(fake)
    assert fake.find(Kind.NETWORK_POLICY, KEY.name) is not None


async def test_a_policy_of_somebody_else_is_no_hindrance_to_a_cluster_without_one() -> None:
    fake = FakeKubeCluster(**THREE, networkPolicy={"mode": "None"})
    theirs = foreign("NetworkPolicy", KEY.name, spec={})
    stored = fake.kube.add({**theirs, "apiVersion": "networking.k8s.io/v1"})
    await fake.settle()
    assert fake.find(Kind.NETWORK_POLICY, KEY.name) == stored


def test_behind_a_load_balancer_every_address_is_allowed(make_cluster: Any) -> None:
    def sources(**service: Any) -> list[Any]:
        spec: Any = network_policy(make_cluster(service=service))["spec"]
        return [one["ipBlock"]["cidr"] for one in spec["ingress"][0]["from"] if "ipBlock" in one]

    assert sources() == []
    assert sources(type="LoadBalancer") == ["0.0.0.0/0", "::/0"]


async def test_a_further_name_is_in_the_certificate_within_a_pass() -> None:
    fake = await settled()
    before = fake.find(Kind.SECRET, "spine-tls")
    fake.change_spec(security={"tls": {"extraDNSNames": ["spine.example.org", "::1"]}})
    await reconcile_passes(fake, 2)
    after = fake.find(Kind.SECRET, "spine-tls")
    assert before
    assert after
    assert after["data"]["tls.crt"] != before["data"]["tls.crt"]
    await reconcile_passes(fake, 2)
    assert fake.find(Kind.SECRET, "spine-tls") == after


async def test_argo_cd_finds_nothing_to_prune() -> None:
    """It prunes what carries its application's name in the instance label and has no owner."""
    fake = await settled()
    kinds = (Kind.SECRET, Kind.CONFIG_MAP, Kind.CLAIM, Kind.SERVICE, Kind.STATEFULSET)
    for item in (one for kind in kinds for one in fake.all(kind)):
        metadata = item["metadata"]
        assert "ownerReferences" in metadata or INSTANCE_LABEL not in metadata["labels"]


async def test_a_resource_made_anew_is_no_business_of_the_daemon_before() -> None:
    fake = await settled()
    uid, resource = fake.uid, fake.resource
    fake.delete_cluster()
    await fake.settle()
    metadata = {"name": KEY.name, "namespace": KEY.namespace, "finalizers": [FINALIZER]}
    fake.kube.add({**resource, "metadata": metadata})
    writes = len(fake.kube.writes)
    result = await reconcile(KEY, uid, fake.ports())
    assert result.gone
    assert fake.kube.writes[writes:] == []
    await fake.settle()
    assert fake.condition("Ready")["status"] == "True"


async def test_retained_data_moves_into_the_zones_of_the_resource_made_anew() -> None:
    fake = await settled()
    resource = fake.resource
    fake.delete_cluster()
    await fake.settle()
    fake.controllers()
    zones = [{"name": name} for name in "xyz"]
    spec = {**resource["spec"], "topology": {**resource["spec"]["topology"], "zones": zones}}
    metadata = {"name": KEY.name, "namespace": KEY.namespace, "finalizers": [FINALIZER]}
    fake.kube.add({**resource, "metadata": metadata, "spec": spec})
    await fake.settle(lambda o: o.status is not None and is_ready(o.status))
    assert sorted(fake.document.current) == ["spine-x-0", "spine-y-0", "spine-z-0"]
    assert fake.document.epoch > 1


async def test_a_statefulset_of_somebody_else_is_not_taken_for_that_of_a_forgotten_zone() -> None:
    fake = await settled(replicas=4, topology={"zones": [*ZONES, {"name": "d"}]})
    fake.nodes.pulling = False
    fake.change_spec(replicas=3, topology={"zones": ZONES})
    await reconcile_passes(fake)
    fake.kube.remove(Kind.STATEFULSET, KEY.namespace, "spine-d")
    theirs = {**foreign("StatefulSet", "spine-d", spec={"replicas": 1}), "apiVersion": "apps/v1"}
    del theirs["metadata"]["labels"]
    stored = fake.kube.add(theirs)
    result = await reconcile(KEY, fake.uid, fake.ports())
    assert is_blocked_by("NamesFree")(result)
    assert fake.find(Kind.STATEFULSET, "spine-d") == stored


async def test_volumes_that_cannot_go_leave_no_document_behind() -> None:
    fake = await settled(storage={"size": "1Gi", "whenDeleted": "Delete"})
    claim = fake.find(Kind.CLAIM, "data-spine-a-0")
    assert claim is not None
    claim["metadata"]["finalizers"] = ["kubernetes.io/pvc-protection"]  # its host is dead
    fake.delete_cluster()
    await reconcile_passes(fake, 20)
    assert [one["metadata"]["name"] for one in fake.all(Kind.CLAIM)] == ["data-spine-a-0"]
    assert fake.find(Kind.CONFIG_MAP, KEY.topology_map) is None
    assert fake.all(Kind.SECRET) == []
    assert fake.find(Kind.CLUSTER, KEY.name) is not None


async def test_one_node_that_takes_no_pace_stops_no_change() -> None:
    fake = await settled()
    fake.nodes.refuses = frozenset({"set_pace"})
    fake.change_spec(rebalance={"bandwidthPerNode": "1Mi"}, replicas=4)
    await fake.settle()
    assert "spine-a-1" in fake.document.current


async def test_a_move_to_other_zones_has_no_more_targets_than_the_definition_allows() -> None:
    fake = await settled(replicas=40, rebalance={"suspend": True})
    fake.change_spec(topology={"zones": [{"name": f"new-{zone}"} for zone in "abc"]})
    await reconcile_passes(fake, 3)
    assert len(fake.status["operation"]["targets"]) == TARGETS_MAX
