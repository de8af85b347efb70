"""The Kopf handlers: one daemon per custom resource, and a wake-up for whatever may have changed.

Rules learnt from Kopf's bugs (operator.md §3): no create/update/field handlers, no return values, no
work in `on.event`. Kopf sets the finalizer and would cancel a daemon on deletion; ours goes on until
the deletion is done and takes the finalizer off itself.
"""

from collections.abc import Mapping
from typing import Any, Final

import kopf

from spine_operator.daemon import DaemonContext, converge
from spine_operator.kube import load_configuration
from spine_operator.naming import (
    CLUSTER_LABEL,
    FIELD_MANAGER,
    FINALIZER,
    GROUP,
    ClusterKey,
)

CLUSTERS: Final = (GROUP, "v1alpha1", "memoryspineclusters")
CHILDREN: Final = (
    ("apps", "v1", "statefulsets"),
    ("", "v1", "pods"),
    ("", "v1", "persistentvolumeclaims"),
    ("", "v1", "configmaps"),
)
EXIT_PATIENCE_S = 10.0  # a daemon ends its action within this; none spans two calls


def build_registry(context: DaemonContext) -> kopf.OperatorRegistry:
    """Return the handlers of this process."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await connection()

    # Kopf looks at a stopped daemon so seldom because it writes an annotation each time it does.
    @kopf.daemon(*CLUSTERS, registry=registry, cancellation_polling=3600)
    async def run(
        namespace: str | None, name: str, uid: str, stopped: kopf.DaemonStopped, **_: Any
    ) -> None:
        def leaving() -> bool:
            return _must_leave(stopped)

        await converge(_key(namespace, name), uid, context, leaving)

    @kopf.on.event(*CLUSTERS, registry=registry)
    async def changed(namespace: str | None, name: str, **_: Any) -> None:
        context.wake.notify(_key(namespace, name))

    async def child_changed(namespace: str | None, labels: Mapping[str, str], **_: Any) -> None:
        context.wake.notify(_key(namespace, labels[CLUSTER_LABEL]))

    for group, version, plural in CHILDREN:
        watch = kopf.on.event(
            group=group,
            version=version,
            plural=plural,
            labels={CLUSTER_LABEL: kopf.PRESENT},
            id=f"notify-{plural}",
            registry=registry,
        )
        watch(child_changed)
    return registry


def kopf_settings(*, scan: bool) -> kopf.OperatorSettings:
    """Return Kopf's settings where its defaults are wrong for us; `scan`: we may watch CRDs and namespaces."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = not scan
    settings.persistence.finalizer = FINALIZER
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.posting.enabled = False
    settings.posting.loggers = False
    settings.posting.reporting_component = FIELD_MANAGER
    for group, _, plural in CHILDREN:  # the server leaves out what is not ours
        settings.watching.label_selectors[group, plural] = CLUSTER_LABEL
    settings.peering.standalone = True
    settings.queueing.worker_limit = None
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.background.instant_exit_timeout = EXIT_PATIENCE_S
    return settings


async def connection() -> kopf.ConnectionInfo:
    """Return the credentials of `load_configuration` for Kopf, which asks again after each 401."""
    configuration = await load_configuration()
    header: str = await configuration.get_api_key_with_prefix("BearerToken") or ""
    scheme, _, token = header.partition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
    )


def _key(namespace: str | None, name: str) -> ClusterKey:
    assert namespace is not None, "all kinds that we watch live in namespaces"
    return ClusterKey(namespace, name)


def _must_leave(stopped: kopf.DaemonStopped) -> bool:
    """Return whether the process is ending; that the resource is deleted is no reason to end the daemon."""
    reason = stopped.reason
    leaving = kopf.DaemonStoppingReason.OPERATOR_EXITING
    return reason is not None and bool(reason & leaving)
