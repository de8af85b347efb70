"""The Secrets of a cluster. They have no owner: whoever keeps the volumes keeps what opens them."""

from base64 import b64encode
from collections.abc import Mapping

from spine_operator.manifests.objects import Manifest, child
from spine_operator.resource.spec import ClusterResource


def secret_name(cluster: str, purpose: str) -> str:
    """Name of the Secret of a cluster for one purpose: cluster, admin, ca, tls or client."""
    return f"{cluster}-{purpose}"


def secret(cluster: ClusterResource, purpose: str, values: Mapping[str, str]) -> Manifest:
    """Return a Secret with these texts."""
    name = secret_name(cluster.key.name, purpose)
    data = {key: b64encode(text.encode()).decode() for key, text in values.items()}
    return {
        **child(cluster, "v1/Secret", name, purpose, owned=False),
        "type": "kubernetes.io/tls" if purpose == "tls" else "Opaque",
        "data": data,
    }
