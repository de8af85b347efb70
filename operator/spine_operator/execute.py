"""Executes the actions of a plan. Each is one call, so being cut off anywhere is safe.

Before an action that cannot be taken back, the custom resource and the document are read once more: if
either has moved since the plan was made, nothing is done and the next pass decides anew.
"""

import asyncio
import logging
from typing import assert_never

from spine_core.errors import InvalidInputError, SpineError
from spine_core.planning.actions import Publish, Push
from spine_operator.manifests.document import topology_map
from spine_operator.manifests.objects import Manifest
from spine_operator.manifests.secret import secret
from spine_operator.naming import FINALIZER
from spine_operator.observe.node_endpoint import endpoint_of
from spine_operator.observe.observed import Observed
from spine_operator.plan.actions import (
    ApplyChild,
    DeleteChild,
    DeleteClaim,
    ExclusiveAction,
    LabelClaim,
    MakeSecrets,
    RemoveFinalizer,
    RenewLeaf,
    RepeatableAction,
    Resize,
    SetPace,
)
from spine_operator.ports import ConflictError, Kind, NodeError, NotFoundError, Ports, RefusedError
from spine_operator.resource.spec import ResourceIdentity
from spine_operator.secrets import SecretValues, make_values

logger = logging.getLogger("spine.execute")


class OutdatedError(SpineError):
    """What the plan was made on has changed; nothing was done, and the next pass decides anew."""


async def apply(action: RepeatableAction, observed: Observed, ports: Ports) -> None:
    """Execute an action that may be repeated.

    Raises:
        InvalidInputError: Kubernetes will never accept what the spec says.
        KubeError: it may or may not have happened; the next pass will see.
    """
    namespace = observed.cluster.key.namespace
    match action:
        case ApplyChild(manifest):
            await _apply_child(manifest, ports)
        case DeleteChild():
            await delete(action, observed.cluster, ports)
        case MakeSecrets(purposes):
            await _make_secrets(purposes, observed, ports)
        case RenewLeaf():
            await _renew_leaf(observed, ports)
        case LabelClaim(name=name, uid=uid, labels=labels):
            patch = {"metadata": {"uid": uid, "labels": dict(labels)}}
            await ports.kube.patch(Kind.CLAIM, namespace, name, patch)
        case SetPace(seat=seat, store_id=store_id, bytes_per_s=bytes_per_s, slots=slots):
            endpoint = endpoint_of(observed.cluster, ports, observed.secrets, seat)
            assert endpoint is not None, "a node that reported has an endpoint"
            try:
                await ports.nodes.set_pace(endpoint, store_id, bytes_per_s=bytes_per_s, slots=slots)
            except NodeError as error:  # its next report says so; the others do not wait for it
                logger.warning("pace_failed", extra={"seat": seat, "error": str(error)})
        case _:
            assert_never(action)


async def execute(action: ExclusiveAction, observed: Observed, ports: Ports) -> None:
    """Execute the one exclusive action of a pass.

    Raises:
        OutdatedError: nothing was done, since what the plan stood on has changed.
        NodeError: no node took the document.
        KubeError: it may or may not have happened; the next pass will see.
    """
    cluster, namespace = observed.cluster, observed.cluster.key.namespace
    match action:
        case Publish():
            await _recheck_preconditions(observed, ports)
            await _publish(action, observed, ports)
        case Push():
            await _push(action, observed, ports)
        case Resize(statefulset=name, version=version, pods=pods):
            if pods < action.before:
                await _recheck_preconditions(observed, ports)
            patch = {"metadata": {"resourceVersion": version}, "spec": {"replicas": pods}}
            await ports.kube.patch(Kind.STATEFULSET, namespace, name, patch)
        case DeleteClaim(name=name, uid=uid):
            await _recheck_preconditions(observed, ports)
            await _delete_by_uid(Kind.CLAIM, name, uid, cluster, ports)
        case DeleteChild() | RemoveFinalizer():
            await delete(action, cluster, ports)
        case _:
            assert_never(action)


async def delete(
    action: DeleteChild | RemoveFinalizer, cluster: ResourceIdentity, ports: Ports
) -> None:
    """Delete one object, or remove our finalizer from the custom resource. Raises `KubeError`."""
    match action:
        case DeleteChild(kind=kind, name=name, uid=uid):
            await _delete_by_uid(kind, name, uid, cluster, ports)
        case RemoveFinalizer():
            await _remove_finalizer(cluster, ports)


async def _apply_child(manifest: Manifest, ports: Ports) -> None:
    try:
        await ports.kube.apply(manifest)
    except RefusedError as error:
        name = f"{manifest['kind']} {manifest['metadata']['name']}"
        raise InvalidInputError(f"Kubernetes refuses the {name}: {error}") from error


async def _remove_finalizer(cluster: ResourceIdentity, ports: Ports) -> None:
    """Remove our finalizer, unless somebody has changed the resource meanwhile."""
    others = [name for name in cluster.finalizers if name != FINALIZER]
    patch = {"metadata": {"resourceVersion": cluster.resource_version, "finalizers": others}}
    try:
        await ports.kube.patch(Kind.CLUSTER, cluster.key.namespace, cluster.key.name, patch)
    except NotFoundError:
        logger.info("gone_already", extra={"cluster": str(cluster.key)})


async def _recheck_preconditions(observed: Observed, ports: Ports) -> None:
    """Check that spec and document are those that the plan was made on, and that we hold the Lease."""
    if not ports.lease_held():
        raise OutdatedError("the Lease is not held")
    key = observed.cluster.key
    live = await ports.kube.get(Kind.CLUSTER, key.namespace, key.name)
    metadata = live["metadata"]
    seen = (observed.cluster.uid, observed.cluster.generation)
    if (metadata["uid"], metadata["generation"]) != seen or "deletionTimestamp" in metadata:
        raise OutdatedError("the custom resource has changed")
    try:
        document = await ports.kube.get(Kind.CONFIG_MAP, key.namespace, key.topology_map)
        version = document["metadata"]["resourceVersion"]
    except NotFoundError:
        version = None
    if version != observed.document_version:
        raise OutdatedError("the topology document has changed")


async def _publish(action: Publish, observed: Observed, ports: Ports) -> None:
    """Store the document by compare-and-set on the one observed: create the first, patch later ones."""
    cluster, version = observed.cluster, observed.document_version
    manifest = topology_map(cluster, action.document, ports.now_ms())
    if version is None:
        await ports.kube.create(manifest)
        return
    metadata = {**manifest["metadata"], "resourceVersion": version}
    patch = {"metadata": metadata, "data": manifest["data"]}
    await ports.kube.patch(Kind.CONFIG_MAP, cluster.key.namespace, cluster.key.topology_map, patch)


async def _push(action: Push, observed: Observed, ports: Ports) -> None:
    """Send the document to all stores at once; one that refuses does not delay the others.

    Raises:
        NodeError: none took it, so that the next try comes later and later.
    """

    async def send(seat: str, store_id: str) -> bool:
        endpoint = endpoint_of(observed.cluster, ports, observed.secrets, seat)
        assert endpoint is not None, "a node that reported has an endpoint"
        try:
            await ports.nodes.adopt(endpoint, store_id, action.document)
        except NodeError as error:
            logger.warning("push_failed", extra={"seat": seat, "error": str(error)})
            return False
        return True

    taken = await asyncio.gather(
        *(send(seat, store_id) for seat, store_id in action.stores.items())
    )
    if not any(taken):
        raise NodeError(f"no node took epoch {action.document.epoch}: {', '.join(action.stores)}")


async def _make_secrets(purposes: tuple[str, ...], observed: Observed, ports: Ports) -> None:
    """Create the Secrets that are missing; one that appeared meanwhile is left as it is."""
    have: SecretValues = observed.secrets
    for purpose in purposes:
        values = make_values(observed.cluster, purpose, have, ports.entropy, ports.now_ms())
        await ports.kube.create(secret(observed.cluster, purpose, values))
        have = {**have, purpose: values}


async def _renew_leaf(observed: Observed, ports: Ports) -> None:
    cluster = observed.cluster
    values = make_values(cluster, "tls", observed.secrets, ports.entropy, ports.now_ms())
    manifest = secret(cluster, "tls", values)
    name = manifest["metadata"]["name"]
    patch = {"data": manifest["data"]}
    await ports.kube.patch(Kind.SECRET, cluster.key.namespace, name, patch)


async def _delete_by_uid(
    kind: Kind, name: str, uid: str, cluster: ResourceIdentity, ports: Ports
) -> None:
    """Delete the object with this UID; that it is gone, or another one now, counts as success."""
    try:
        await ports.kube.delete(kind, cluster.key.namespace, name, uid=uid)
    except (NotFoundError, ConflictError):
        logger.info("gone_already", extra={"cluster": str(cluster.key), "object": name})
