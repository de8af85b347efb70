"""Which children follow from the spec alone, by kind and name. Pure."""

from collections.abc import Mapping

from spine_operator.manifests.budget import disruption_budget
from spine_operator.manifests.config import config_map
from spine_operator.manifests.network import network_policy
from spine_operator.manifests.objects import Manifest
from spine_operator.manifests.services import client_service, headless_service
from spine_operator.ports import Kind, kind_of
from spine_operator.resource.spec import ClusterResource

ChildKey = tuple[Kind, str]


def simple_children(cluster: ClusterResource) -> Mapping[ChildKey, Manifest | None]:
    """Return every child that follows from the spec alone; None is one that it does without."""
    manifests = (
        headless_service(cluster),
        client_service(cluster),
        config_map(cluster),
        disruption_budget(cluster),
    )
    policy = network_policy(cluster) if cluster.spec.access.network_policy else None
    return {
        **{(kind_of(one), one["metadata"]["name"]): one for one in manifests},
        (Kind.NETWORK_POLICY, cluster.key.name): policy,
    }
