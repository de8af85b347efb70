"""What docs/runbooks tells people to do by hand does what it says."""

from kubedouble.world import KEY, ZONES, World
from spine_operator.naming import CLUSTER_LABEL
from spine_operator.ports import Kind


async def settled() -> World:
    world = World(replicas=3, topology={"zones": ZONES})
    await world.settle()
    return world


async def turns(world: World, count: int = 5) -> None:
    for _ in range(count):
        await world.turn()


async def test_a_document_that_was_put_back_from_a_node_is_taken_up() -> None:
    world = await settled()
    copy = world.document.canonical().decode()
    world.kube.remove(Kind.CONFIG_MAP, KEY.namespace, KEY.topology_map)
    await turns(world)
    assert world.condition("Stalled")["reason"] == "DocumentLost"
    labels = {CLUSTER_LABEL: KEY.name}
    metadata = {"name": KEY.topology_map, "namespace": KEY.namespace, "labels": labels}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    world.kube.add({**manifest, "data": {"document": copy}})
    await turns(world)
    assert world.condition("Ready")["status"] == "True"
    world.change_spec(replicas=4)
    await world.settle()
    assert "spine-a-1" in world.document.current


async def test_a_certificate_that_was_deleted_is_issued_anew_by_the_same_authority() -> None:
    world = await settled()
    before = {name: world.find(Kind.SECRET, f"{KEY.name}-{name}") for name in ("ca", "tls")}
    world.kube.remove(Kind.SECRET, KEY.namespace, f"{KEY.name}-tls")
    await turns(world)
    after = {name: world.find(Kind.SECRET, f"{KEY.name}-{name}") for name in ("ca", "tls")}
    assert before["tls"]
    assert after["tls"]
    assert after["ca"] == before["ca"]
    assert after["tls"]["data"]["ca.crt"] == before["tls"]["data"]["ca.crt"]
    assert after["tls"]["data"]["tls.crt"] != before["tls"]["data"]["tls.crt"]
