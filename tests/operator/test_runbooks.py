"""What docs/runbooks tells people to do by hand does what it says."""

from kubedouble.fake_cluster import KEY, ZONES, FakeKubeCluster
from spine_operator.naming import CLUSTER_LABEL
from spine_operator.ports import Kind


async def settled() -> FakeKubeCluster:
    fake = FakeKubeCluster(replicas=3, topology={"zones": ZONES})
    await fake.settle()
    return fake


async def reconcile_passes(fake: FakeKubeCluster, count: int = 5) -> None:
    for _ in range(count):
        await fake.reconcile_pass()


async def test_a_document_that_was_put_back_from_a_node_is_taken_up() -> None:
    fake = await settled()
    copy = fake.document.canonical().decode()
    fake.kube.remove(Kind.CONFIG_MAP, KEY.namespace, KEY.topology_map)
    await reconcile_passes(fake)
    assert fake.condition("Stalled")["reason"] == "DocumentLost"
    labels = {CLUSTER_LABEL: KEY.name}
    metadata = {"name": KEY.topology_map, "namespace": KEY.namespace, "labels": labels}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    fake.kube.add({**manifest, "data": {"document": copy}})
    await reconcile_passes(fake)
    assert fake.condition("Ready")["status"] == "True"
    fake.change_spec(replicas=4)
    await fake.settle()
    assert "spine-a-1" in fake.document.current


async def test_a_certificate_that_was_deleted_is_issued_anew_by_the_same_authority() -> None:
    fake = await settled()
    before = {name: fake.find(Kind.SECRET, f"{KEY.name}-{name}") for name in ("ca", "tls")}
    fake.kube.remove(Kind.SECRET, KEY.namespace, f"{KEY.name}-tls")
    await reconcile_passes(fake)
    after = {name: fake.find(Kind.SECRET, f"{KEY.name}-{name}") for name in ("ca", "tls")}
    assert before["tls"]
    assert after["tls"]
    assert after["ca"] == before["ca"]
    assert after["tls"]["data"]["ca.crt"] == before["tls"]["data"]["ca.crt"]
    assert after["tls"]["data"]["tls.crt"] != before["tls"]["data"]["tls.crt"]
