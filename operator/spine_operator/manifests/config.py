"""The ConfigMap with what nodes read again while they run."""

import yaml

from spine_operator.manifests.objects import Manifest, child
from spine_operator.resource.spec import ClusterResource


def config_name(cluster: ClusterResource) -> str:
    """Name of the ConfigMap that every pod mounts."""
    return f"{cluster.key.name}-config"


def config_map(cluster: ClusterResource) -> Manifest:
    """Return the ConfigMap with `config.yaml`, in the sections of a static cluster file."""
    return {
        **child(cluster, "v1/ConfigMap", config_name(cluster), "config"),
        "data": {"config.yaml": yaml.safe_dump(cluster.spec.config, sort_keys=True)},
    }
