"""The pod template of a node: environment, mounts, probes, and as few rights as possible.

Its hash is the revision of a pod. Whatever changes here restarts nodes, one by one, in a rollout.
"""

from spine_core import defaults
from spine_operator.manifests.config import config_name
from spine_operator.manifests.objects import Manifest
from spine_operator.naming import REVISION_LABEL, digest, labels, selector
from spine_operator.resource.quantities import bytes_of
from spine_operator.resource.spec import ClusterResource, ZoneSpec

DATA_DIR = "/data"
ETC = "/etc/spine"
QUOTA_PERCENT = 60  # of the volume for records; the query index and free pages take the rest
GRACE_S = 20  # a node answers what is in flight, flushes and saves its digests
_USER = 10001  # of the node image; any but root will do


def pod_template(cluster: ClusterResource, zone: ZoneSpec, *, image: str) -> Manifest:
    """Return the template of the pods of one zone, labelled with its own revision."""
    spec, key = cluster.spec, cluster.key
    template: Manifest = {
        "metadata": {
            "labels": {**spec.pod.labels, **labels(key.name, "node", zone.name)},
            **({"annotations": dict(spec.pod.annotations)} if spec.pod.annotations else {}),
        },
        "spec": _pod_spec(cluster, zone, image),
    }
    template["metadata"]["labels"][REVISION_LABEL] = digest(template)
    return template


def _pod_spec(cluster: ClusterResource, zone: ZoneSpec, image: str) -> Manifest:
    pod = cluster.spec.pod
    optional: Manifest = {
        "priorityClassName": pod.priority_class,
        "imagePullSecrets": [{"name": name} for name in pod.pull_secrets],
        "tolerations": [dict(toleration) for toleration in pod.tolerations],
    }
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "affinity": _affinity(cluster, zone),
        "containers": [_container(cluster, image)],
        "volumes": _volumes(cluster),
        **{name: value for name, value in optional.items() if value},
    }


def _container(cluster: ClusterResource, image: str) -> Manifest:
    return {
        "name": "node",
        "image": image,
        "imagePullPolicy": cluster.spec.image.pull_policy,
        "command": ["python3", "-m", "spine_node"],
        "env": _environment(cluster),
        "ports": [{"name": "spine", "containerPort": defaults.PORT, "protocol": "TCP"}],
        **({"resources": dict(cluster.spec.pod.resources)} if cluster.spec.pod.resources else {}),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # A store may take minutes to open after a crash; live means that the loop still turns.
        "startupProbe": _probe(cluster, "startup", period_s=2, failures=300),
        "readinessProbe": _probe(cluster, "ready", period_s=2, failures=2),
        "livenessProbe": _probe(cluster, "live", period_s=10, failures=3),
        "volumeMounts": [
            {"name": "data", "mountPath": DATA_DIR},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a mount of the pod's own
            *(
                {"name": volume["name"], "mountPath": f"{ETC}/{volume['name']}", "readOnly": True}
                for volume in _mounted(cluster)
            ),
        ],
    }


def _environment(cluster: ClusterResource) -> list[Manifest]:
    access = cluster.spec.access
    values = {
        "SPINE_CLUSTER_NAME": cluster.key.name,
        "SPINE_PARTITION_STRATEGY": cluster.spec.partition_strategy,
        "SPINE_DATA": DATA_DIR,
        "SPINE_HOST": "0.0.0.0",  # noqa: S104 - inside the pod's own network
        "SPINE_PORT": str(defaults.PORT),
        "SPINE_QUOTA_BYTES": str(bytes_of(cluster.spec.storage.size) * QUOTA_PERCENT // 100),
        "SPINE_CONFIG_FILE": f"{ETC}/config/config.yaml",
        "SPINE_CLUSTER_SECRET_FILE": f"{ETC}/cluster/secret",
        "SPINE_ADMIN_TOKEN_FILE": f"{ETC}/admin/token",
        **({"SPINE_TLS_DIR": f"{ETC}/tls"} if access.tls else {}),
        **({"SPINE_KEYS_FILE": f"{ETC}/keys/keys.yaml"} if access.keys else {"SPINE_AUTH": "none"}),
        **cluster.spec.settings,
    }
    seat = {"name": "SPINE_SEAT", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    # First the seat: a setting with `$(SPINE_SEAT)` sees only what stands before it.
    return [seat, *({"name": name, "value": text} for name, text in sorted(values.items()))]


def _probe(cluster: ClusterResource, path: str, *, period_s: int, failures: int) -> Manifest:
    scheme = "HTTPS" if cluster.spec.access.tls else "HTTP"
    return {
        "httpGet": {"path": f"/healthz/{path}", "port": "spine", "scheme": scheme},
        "periodSeconds": period_s,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }


def _mounted(cluster: ClusterResource) -> list[Manifest]:
    """Volumes that hold configuration; each is mounted under its own name."""
    name, access = cluster.key.name, cluster.spec.access
    config = {"name": "config", "configMap": {"name": config_name(cluster)}}
    keys = _secret("keys", access.keys_secret or f"{name}-client", only="keys.yaml")
    tls = _secret("tls", f"{name}-tls")
    return [
        config,
        _secret("cluster", f"{name}-cluster"),
        _secret("admin", f"{name}-admin"),
        *([tls] if access.tls else []),
        *([keys] if access.keys else []),
    ]


def _secret(volume: str, secret: str, *, only: str | None = None) -> Manifest:
    source: Manifest = {"secretName": secret, "defaultMode": 0o440}
    if only is not None:  # nodes never see the clients' own key
        source["items"] = [{"key": only, "path": only}]
    return {"name": volume, "secret": source}


def _volumes(cluster: ClusterResource) -> list[Manifest]:
    scratch = {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}
    return [scratch, *_mounted(cluster)]


def _affinity(cluster: ClusterResource, zone: ZoneSpec) -> Manifest:
    apart: Manifest = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": selector(cluster.key.name)},
    }
    if cluster.spec.pod.require_host_spread:
        spread: Manifest = {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}
    else:
        weighted = {"weight": 100, "podAffinityTerm": apart}
        spread = {"preferredDuringSchedulingIgnoredDuringExecution": [weighted]}
    affinity: Manifest = {"podAntiAffinity": spread}
    if zone.node_selector:
        terms = [
            {"key": label, "operator": "In", "values": [value]}
            for label, value in sorted(zone.node_selector.items())
        ]
        chosen = {"nodeSelectorTerms": [{"matchExpressions": terms}]}
        affinity["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": chosen}
    return affinity
