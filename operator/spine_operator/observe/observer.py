"""Reads all that a reconcile pass decides on; nothing is remembered from the pass before.

A read of Kubernetes that fails ends the pass (`KubeError`): what could not be seen is not gone. Only
its own "not found" makes an absence. A node that does not answer, or not as a node of ours would, has
a report of None.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from uuid import UUID

from spine_core.errors import InvalidInputError
from spine_core.planning.observed_stores import Reports
from spine_core.planning.reports import Report
from spine_core.topology.document import Seat, Zone
from spine_operator.manifests.children import ChildKey, simple_children
from spine_operator.manifests.objects import is_ours
from spine_operator.manifests.secret import secret_name
from spine_operator.manifests.statefulset import image_of
from spine_operator.observe.node_endpoint import endpoint_of
from spine_operator.observe.observed import Observed, ZoneSet
from spine_operator.observe.parse import (
    read_claim,
    read_document,
    read_expiry,
    read_pod,
    read_statefulset,
)
from spine_operator.ports import Json, Kind, NodeError, NotFoundError, Ports
from spine_operator.resource.quantities import quantity_of
from spine_operator.resource.seats import named_seats
from spine_operator.resource.spec import ClusterResource, parse_cluster
from spine_operator.resource.unsupported import refused_fields
from spine_operator.secrets import SecretValues, Values, purposes, read_values

logger = logging.getLogger("spine.observe")


async def observe(resource: Json, ports: Ports) -> Observed:
    """Return everything there is to know about one cluster.

    Raises:
        KubeError: Kubernetes did not show something that a decision needs.
        InvalidInputError: the custom resource, or a Secret, cannot be read.
    """
    reader = _ClusterReader(parse_cluster(resource), ports)
    cluster, key = reader.cluster, reader.cluster.key
    document = read_document(await reader.named(Kind.CONFIG_MAP, key.topology_map, owned=False))
    children = await reader.children()
    sets = await reader.statefulsets(named_seats(document.get("document")).values())
    pods = {
        seat: read_pod(m, zone)
        for m in await reader.listed(Kind.POD)
        if (zone := key.zone_of(seat := m["metadata"]["name"]))
    }
    claims = {
        seat: read_claim(m, zone)
        for m in await reader.listed(Kind.CLAIM)
        if (zone := key.zone_of(seat := key.seat_of_claim(m["metadata"]["name"])))
    }
    secrets = await reader.secrets()
    return Observed(
        now_ms=ports.now_ms(),
        fresh_id=str(UUID(bytes=ports.entropy(16), version=4)),
        cluster=cluster,
        image=image_of(cluster, ports.node_image),
        refused=(*refused_fields(resource["spec"]), *_expansion(cluster, sets.values())),
        taken=tuple(sorted(reader.taken)),
        sets=sets,
        pods=pods,
        claims=claims,
        reports=await _reports(cluster, ports, secrets, tuple(pods)),
        children=children,
        secrets=secrets,
        **document,
        **read_expiry(secrets),
    )


class _ClusterReader:
    """The reads of one pass, in a fixed order; `taken` collects what is somebody else's."""

    def __init__(self, cluster: ClusterResource, ports: Ports) -> None:
        self.cluster, self._kube = cluster, ports.kube
        self.taken: set[str] = set()

    async def listed(self, kind: Kind) -> Sequence[Json]:
        return await self._kube.list(kind, self.cluster.key.namespace, self.cluster.key.name)

    async def named(
        self, kind: Kind, name: str, *, owned: bool, needed: bool = True
    ) -> Json | None:
        try:
            live = await self._kube.get(kind, self.cluster.key.namespace, name)
        except NotFoundError:
            return None
        if is_ours(live, self.cluster, owned=owned):
            return live
        if needed:
            self.taken.add(f"{kind.rpartition('/')[2]} {name}")
        return None

    async def children(self) -> dict[ChildKey, Json]:
        found = {}
        for (kind, name), manifest in simple_children(self.cluster).items():
            live = await self.named(kind, name, owned=True, needed=manifest is not None)
            if live is not None:
                found[kind, name] = live
        return found

    async def statefulsets(self, named: Iterable[Zone]) -> dict[Zone, ZoneSet]:
        """Read the sets of all zones in spec and document by name, and find those of zones that neither names."""
        zones = {*named, *(zone.name for zone in self.cluster.spec.zones)}
        for manifest in await self.listed(Kind.STATEFULSET):
            zones.add(manifest["metadata"]["name"].removeprefix(f"{self.cluster.key.name}-"))
        sets = {}
        for zone in sorted(zones):
            name = self.cluster.key.statefulset(zone)
            live = await self.named(Kind.STATEFULSET, name, owned=True)
            if live is not None:
                sets[zone] = read_statefulset(live)
        return sets

    async def secrets(self) -> dict[str, Values]:
        found = {}
        for purpose in purposes(self.cluster):
            name = secret_name(self.cluster.key.name, purpose)
            live = await self.named(Kind.SECRET, name, owned=False)
            if live is not None:
                found[purpose] = read_values(live)
        return found


async def _reports(
    cluster: ClusterResource, ports: Ports, secrets: SecretValues, seats: Sequence[Seat]
) -> Reports:
    """Ask all pods for their reports at once; the slowest answer decides how long it takes."""

    async def ask(seat: Seat) -> Report | None:
        endpoint = endpoint_of(cluster, ports, secrets, seat)
        if endpoint is None:
            return None
        try:
            return Report.from_json(await ports.nodes.status(endpoint))
        except (NodeError, InvalidInputError) as error:
            logger.info("node_unknown", extra={"seat": seat, "error": str(error)})
            return None

    return dict(zip(seats, await asyncio.gather(*map(ask, seats)), strict=True))


def _expansion(cluster: ClusterResource, sets: Iterable[ZoneSet]) -> tuple[str, ...]:
    size = cluster.spec.storage.size
    other = {s.claim_size for s in sets if quantity_of(s.claim_size) != quantity_of(size)}
    if not other:
        return ()
    made = ", ".join(sorted(other))
    return (f"spec.storage.size: volumes were made with {made}; expansion is not implemented",)
