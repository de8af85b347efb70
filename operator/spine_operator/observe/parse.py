"""Parses objects of Kubernetes into frozen values. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from spine_core.errors import InvalidInputError
from spine_core.topology.document import Document
from spine_operator.certificates import expires_ms
from spine_operator.manifests.document import DOCUMENT_KEY
from spine_operator.naming import (
    DELETE_AFTER_LABEL,
    PUBLISHED_ANNOTATION,
    REVISION_LABEL,
    STORE_LABEL,
)
from spine_operator.observe.observed import Claim, Pod, ZoneSet
from spine_operator.ports import Json
from spine_operator.resource.spec import parse_time
from spine_operator.secrets import SecretValues

_SECRET_KEYS: Mapping[str, frozenset[str]] = {
    "cluster": frozenset({"secret"}),
    "admin": frozenset({"token"}),
    "ca": frozenset({"ca.crt", "ca.key"}),
    "tls": frozenset({"tls.crt", "tls.key", "ca.crt"}),
    "client": frozenset({"api-key", "url", "keys.yaml"}),
}
_STARTING = "ContainerCreating"  # a container that waits for this is only young


def read_statefulset(live: Json) -> ZoneSet:
    """Read the StatefulSet of a zone."""
    metadata, spec = live["metadata"], live["spec"]
    return ZoneSet(
        name=metadata["name"],
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        pods=spec["replicas"],
        revision=spec["template"]["metadata"]["labels"].get(REVISION_LABEL, ""),
        claim_size=_size(spec["volumeClaimTemplates"][0]),
        live=live,
    )


def read_pod(live: Json, zone: str) -> Pod:
    """Read a pod, with the reason why its container does not run."""
    metadata, status = live["metadata"], live.get("status", {})
    conditions = {c["type"]: c for c in status.get("conditions", ())}
    return Pod(
        uid=metadata["uid"],
        zone=zone,
        revision=metadata["labels"].get(REVISION_LABEL, ""),
        ready=conditions.get("Ready", {}).get("status") == "True",
        terminating="deletionTimestamp" in metadata,
        host=live.get("spec", {}).get("nodeName"),
        trouble=_trouble(status),
        unscheduled_ms=_unscheduled_ms(conditions.get("PodScheduled", {})),
    )


def read_claim(live: Json, zone: str) -> Claim:
    """Read a volume claim."""
    metadata = live["metadata"]
    delete_after = metadata["labels"].get(DELETE_AFTER_LABEL, "")
    return Claim(
        name=metadata["name"],
        uid=metadata["uid"],
        zone=zone,
        size=_size(live),
        store_id=metadata["labels"].get(STORE_LABEL),
        delete_after_s=int(delete_after) if delete_after.isdigit() else None,
        terminating="deletionTimestamp" in metadata,
    )


def read_document(live: Json | None) -> dict[str, Any]:
    """Return the fields of `Observed` that tell of the topology document."""
    if live is None:
        return {}
    try:
        document = Document.from_json(json.loads(live["data"][DOCUMENT_KEY]))
    except (InvalidInputError, KeyError, ValueError) as error:
        return {"document_trouble": f"the topology document cannot be read: {error}"}
    published = live["metadata"].get("annotations", {}).get(PUBLISHED_ANNOTATION, "")
    return {
        "document": document,
        "document_version": live["metadata"]["resourceVersion"],
        "published_ms": int(published) if published.isdigit() else None,
    }


def read_expiry(secrets: SecretValues) -> dict[str, Any]:
    """Return the fields of `Observed` that tell of Secrets and certificates."""
    for purpose, values in secrets.items():
        lacking = ", ".join(sorted(_SECRET_KEYS[purpose] - values.keys()))
        if lacking:
            return {"certificate_trouble": f"the Secret for {purpose} lacks {lacking}"}
    certificates = {p: secrets[p][f"{p}.crt"] for p in ("ca", "tls") if p in secrets}
    try:
        return {"expiry_ms": {p: expires_ms(text) for p, text in certificates.items()}}
    except ValueError as error:
        return {"certificate_trouble": f"a certificate cannot be read: {error}"}


def _size(claim: Json) -> str:
    return str(claim["spec"]["resources"]["requests"]["storage"])


def _trouble(status: Json) -> str:
    for container in status.get("containerStatuses", ()):
        reason = container.get("state", {}).get("waiting", {}).get("reason", _STARTING)
        if reason != _STARTING:
            return str(reason)
    return ""


def _unscheduled_ms(scheduled: Json) -> int | None:
    refused = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    return parse_time(scheduled["lastTransitionTime"]) if refused else None
