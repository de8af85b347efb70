"""Finds the children of a cluster that differ from what we render. Pure.

A child is applied again when what we rendered last was another text (its annotation says so), or when
a field of ours has been changed by somebody. Fields that are not ours never count, so applying twice
writes nothing the second time.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from spine_core.errors import InvalidInputError
from spine_core.planning.actions import Step
from spine_operator.manifests.children import simple_children
from spine_operator.manifests.objects import Manifest
from spine_operator.manifests.statefulset import statefulset
from spine_operator.naming import MANIFEST_ANNOTATION, digest
from spine_operator.observe.observed import Observed
from spine_operator.plan.actions import ApplyChild, DeleteChild
from spine_operator.ports import Json
from spine_operator.resource.quantities import quantity_of
from spine_operator.resource.spec import ZoneSpec


def child_actions(observed: Observed) -> Iterator[ApplyChild | DeleteChild]:
    """Yield the actions that bring the simple children to what the spec says."""
    for (kind, name), manifest in simple_children(observed.cluster).items():
        live = observed.children.get((kind, name))
        if manifest is not None:
            if live is None or differs(live, with_digest(manifest)):
                yield ApplyChild(with_digest(manifest))
        elif live is not None:
            uid = live["metadata"]["uid"]
            yield DeleteChild(kind=kind, name=name, uid=uid, step=Step.CHILDREN)


def stale_statefulset(observed: Observed, zone: ZoneSpec, *, pods: int) -> Manifest | None:
    """Return the manifest of a zone when it has to be applied; `pods` counts only for a new one.

    An existing one is applied with the number of pods and the version that were observed, so a pass
    that saw an old state cannot take pods away.
    """
    live = observed.sets.get(zone.name)
    manifest = with_digest(
        statefulset(
            observed.cluster,
            zone,
            image=observed.image,
            pods=live.pods if live else pods,
            claim_size=live.claim_size if live else observed.cluster.spec.storage.size,
        )
    )
    if live is None:
        return manifest
    if not differs(live.live, manifest):
        return None
    manifest["metadata"]["resourceVersion"] = live.version
    return manifest


def with_digest(manifest: Manifest) -> Manifest:
    """Return the manifest with its own hash as an annotation; the number of pods does not count."""
    rest = {**manifest, "spec": {**manifest.get("spec", {}), "replicas": None}}
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), MANIFEST_ANNOTATION: digest(rest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def differs(live: Json, manifest: Json) -> bool:
    """Return whether a field of the manifest is missing from the live object or has another value."""
    return not _covers(live, manifest)


def _covers(live: Any, wanted: Any) -> bool:
    match wanted:
        case Mapping():
            if not isinstance(live, Mapping):
                return not wanted and live is None
            return all(_covers(live.get(key), value) for key, value in wanted.items())
        case list() | tuple():
            if not isinstance(live, list | tuple):
                return not wanted and live is None
            return len(live) == len(wanted) and all(map(_covers, live, wanted))
        case _:
            return bool(live == wanted) or _same_quantity(live, wanted)


def _same_quantity(live: Any, wanted: Any) -> bool:
    """Return whether two texts are the same quantity: Kubernetes writes `1000m` as `1`."""
    try:
        return quantity_of(live) == quantity_of(wanted)
    except InvalidInputError:
        return False
