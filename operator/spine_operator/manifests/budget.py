"""The PodDisruptionBudget: one node at a time may be evicted, none while healing is frozen."""

from spine_operator.manifests.objects import Manifest, child
from spine_operator.naming import selector
from spine_operator.resource.spec import ClusterResource


def disruption_budget(cluster: ClusterResource) -> Manifest:
    """Return the budget: drains of Kubernetes nodes evict one of our pods after the other.

    A pod that does not run may always be evicted, or a bad image would block every drain.
    """
    return {
        **child(cluster, "policy/v1/PodDisruptionBudget", cluster.key.name, "budget"),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selector(cluster.key.name)},
        },
    }
