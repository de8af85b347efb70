"""How to reach the admin plane of one node of a cluster. Pure."""

from spine_core.topology.document import Seat
from spine_operator.ports import NodeEndpoint, Ports
from spine_operator.resource.seats import host_port
from spine_operator.resource.spec import ClusterResource
from spine_operator.secrets import SecretValues


def endpoint_of(
    cluster: ClusterResource, ports: Ports, secrets: SecretValues, seat: Seat
) -> NodeEndpoint | None:
    """Return how to reach a node, None while the Secrets for it are missing."""
    authority = secrets.get("tls", {}).get("ca.crt") if cluster.spec.access.tls else None
    token = secrets.get("admin", {}).get("token")
    if token is None or (cluster.spec.access.tls and authority is None):
        return None
    scheme = "https" if authority else "http"
    return NodeEndpoint(
        seat=seat,
        url=f"{scheme}://{host_port(cluster, seat, ports.address_of)}",
        server_name=f"{seat}.{cluster.key.node_domain}",
        authority=authority,
        token=token,
    )
