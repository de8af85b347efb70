"""The NetworkPolicy: who may reach a node, and what a node may reach."""

from collections.abc import Mapping
from typing import Any

from spine_core import defaults
from spine_operator.manifests.objects import Manifest, child
from spine_operator.naming import OPERATOR_NAME, selector
from spine_operator.resource.spec import ClusterResource

_ANYWHERE = [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]
_DNS = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]


def network_policy(cluster: ClusterResource) -> Manifest:
    """Return the policy: port 8788 for own pods, the operator and `allowFrom`; out only to DNS and own pods.

    Behind a LoadBalancer every address is allowed: clients come with addresses that nobody can list.
    """
    nodes = {"podSelector": {"matchLabels": selector(cluster.key.name)}}
    operator = {
        "namespaceSelector": {},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": OPERATOR_NAME}},
    }
    clients = [_peer(entry) for entry in cluster.spec.access.allow_from] or [{"podSelector": {}}]
    if cluster.spec.access.service_type == "LoadBalancer":
        clients += _ANYWHERE
    ports = [{"port": defaults.PORT, "protocol": "TCP"}]
    return {
        **child(cluster, "networking.k8s.io/v1/NetworkPolicy", cluster.key.name, "network"),
        "spec": {
            **nodes,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [nodes, operator, *clients], "ports": ports}],
            "egress": [{"to": [nodes], "ports": ports}, {"ports": _DNS}],
        },
    }


def _peer(entry: Mapping[str, Any]) -> Manifest:
    peer: Manifest = {"podSelector": {"matchLabels": dict(entry.get("podLabels", {}))}}
    if "namespaceLabels" in entry:
        peer["namespaceSelector"] = {"matchLabels": dict(entry["namespaceLabels"])}
    return peer
