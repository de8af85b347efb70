"""One StatefulSet per zone. It makes pods and claims; who restarts or leaves is decided elsewhere.

`OnDelete`: a new template restarts nothing by itself. `Retain`: a claim goes only after proof that
no slot needs it. `replicas` is always the value observed; only the action `Resize` changes it.
"""

from spine_operator.manifests.objects import Manifest, child, with_labels
from spine_operator.manifests.pod import pod_template
from spine_operator.naming import ZONE_LABEL, selector
from spine_operator.resource.spec import ClusterResource, ZoneSpec


def image_of(cluster: ClusterResource, default_repository: str) -> str:
    """Return the image reference, pinned by digest where the spec gives one."""
    image = cluster.spec.image
    repository = image.repository or default_repository
    return (
        f"{repository}@{image.digest}" if image.digest else f"{repository}:{cluster.spec.version}"
    )


def statefulset(
    cluster: ClusterResource, zone: ZoneSpec, *, image: str, pods: int, claim_size: str
) -> Manifest:
    """Return the StatefulSet of a zone.

    `claim_size` is that of its claim template, which Kubernetes never changes after creation.
    """
    name = cluster.key.statefulset(zone.name)
    manifest = child(cluster, "apps/v1/StatefulSet", name, "node")
    return {
        **with_labels(manifest, {ZONE_LABEL: zone.name}),
        "spec": {
            "replicas": pods,
            "serviceName": cluster.key.headless_service,
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Retain",
                "whenScaled": "Retain",
            },
            "selector": {
                "matchLabels": {**selector(cluster.key.name), ZONE_LABEL: zone.name},
            },
            "template": pod_template(cluster, zone, image=image),
            "volumeClaimTemplates": [_claim(cluster, zone, claim_size)],
        },
    }


def _claim(cluster: ClusterResource, zone: ZoneSpec, size: str) -> Manifest:
    class_name = cluster.spec.storage.class_name
    return {
        "metadata": {
            "name": "data",
            "labels": {**selector(cluster.key.name), ZONE_LABEL: zone.name},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            **({"storageClassName": class_name} if class_name is not None else {}),
        },
    }
