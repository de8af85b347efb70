"""The two Services: one that names every pod, one that clients use."""

from spine_core import defaults
from spine_operator.manifests.objects import Manifest, child
from spine_operator.naming import selector
from spine_operator.resource.spec import ClusterResource

_PORTS = [{"name": "spine", "port": defaults.PORT, "targetPort": "spine", "protocol": "TCP"}]


def headless_service(cluster: ClusterResource) -> Manifest:
    """Return the Service that gives every pod a DNS name, ready or not: links and admin calls need it."""
    return {
        **child(cluster, "v1/Service", cluster.key.headless_service, "nodes"),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": selector(cluster.key.name),
            "ports": _PORTS,
        },
    }


def client_service(cluster: ClusterResource) -> Manifest:
    """Return the Service that leads clients to the nodes that are ready."""
    manifest = child(cluster, "v1/Service", cluster.key.name, "api")
    if cluster.spec.access.service_annotations:
        manifest["metadata"]["annotations"] = dict(cluster.spec.access.service_annotations)
    manifest["spec"] = {
        "type": cluster.spec.access.service_type,
        "selector": selector(cluster.key.name),
        "ports": _PORTS,
    }
    return manifest
