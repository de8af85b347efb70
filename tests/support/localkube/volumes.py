"""Persistent volumes as directories: what StatefulSets need of a CSI driver (make, expand, delete).

Class `zonal` behaves like a cloud disk, usable on any node of its zone; class `local` like a disk
in one machine. One thread, two looks per second.
"""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import urllib3

from localkube.api import APPLY, MERGE, Api, Json
from localkube.clock import pause
from localkube.errors import ApiError

logger = logging.getLogger(__name__)

PROVISIONER = "memoryspine.test/directory"
LOOK_EVERY_S = 0.5
LABELS = {"zonal": "topology.kubernetes.io/zone", "local": "kubernetes.io/hostname"}
DEFAULT_CLASS = "zonal"
ASKED_OF = "volume.kubernetes.io/storage-provisioner"  # annotations of a claim
SELECTED_NODE = "volume.kubernetes.io/selected-node"
MADE_BY = "pv.kubernetes.io/provisioned-by"  # annotation of a volume
VOLUMES = "/api/v1/persistentvolumes"


def storage_class(name: str) -> Json:
    """Return a StorageClass that waits for the first pod and may grow."""
    default = {"storageclass.kubernetes.io/is-default-class": str(name == DEFAULT_CLASS).lower()}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": default},
        "provisioner": PROVISIONER,
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
        "reclaimPolicy": "Delete",
    }


def volume(claim: Json, path: Path, label: str, place: str) -> Json:
    """Return the PersistentVolume for `claim` in `path`, usable where `label` is `place`."""
    metadata, spec = claim["metadata"], claim["spec"]
    here = {"key": label, "operator": "In", "values": [place]}
    identity = {key: metadata[key] for key in ("namespace", "name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": volume_name(claim), "annotations": {MADE_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "storageClassName": spec["storageClassName"],
            "persistentVolumeReclaimPolicy": "Delete",
            "hostPath": {"path": str(path), "type": "Directory"},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **identity},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


def volume_name(claim: Json) -> str:
    """Return the name of the volume of a claim."""
    return f"pvc-{claim['metadata']['uid']}"


def is_wanted(claim: Json) -> bool:
    """Tell whether a claim waits for us: the scheduler has chosen a node, no volume is bound."""
    notes = claim["metadata"].get("annotations", {})
    unbound = not claim["spec"].get("volumeName")
    return notes.get(ASKED_OF) == PROVISIONER and SELECTED_NODE in notes and unbound


def is_to_grow(claim: Json) -> bool:
    """Tell whether a bound claim asks for more than it has."""
    status: Json = claim.get("status", {})
    wanted: str = claim["spec"]["resources"]["requests"]["storage"]
    return status.get("phase") == "Bound" and wanted != str(status["capacity"]["storage"])


def is_to_go(made: Json) -> bool:
    """Tell whether a volume of ours has lost its claim and is to be deleted with its data."""
    ours: bool = made["metadata"].get("annotations", {}).get(MADE_BY) == PROVISIONER
    unwanted: bool = made["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
    released: bool = made["status"].get("phase") == "Released"
    return ours and unwanted and released


@dataclass(frozen=True, slots=True)
class Provisioner:
    """Makes what claims ask for and deletes what nobody claims. Every step may be repeated."""

    api: Api
    directory: Path

    def install(self) -> None:
        """Create the storage classes."""
        for name in LABELS:
            path = f"/apis/storage.k8s.io/v1/storageclasses/{name}?fieldManager=local&force=true"
            self.api.call("PATCH", path, storage_class(name), APPLY)

    def run(self) -> None:
        """Look for ever; what fails is looked at again."""
        while True:
            try:
                self.look()
            except (ApiError, urllib3.exceptions.HTTPError, OSError) as error:
                logger.warning("volumes: %r", error)
            pause(LOOK_EVERY_S)

    def look(self) -> None:
        """Take every step that is due now."""
        made = {found["metadata"]["name"]: found for found in self.api.items(VOLUMES)}
        for claim in self.api.items("/api/v1/persistentvolumeclaims"):
            if volume_name(claim) in made:
                if is_to_grow(claim):
                    self._grow(claim)
            elif is_wanted(claim):
                self._make(claim)
        for name, found in made.items():
            if is_to_go(found):
                shutil.rmtree(found["spec"]["hostPath"]["path"], ignore_errors=True)
                self.api.call("DELETE", f"{VOLUMES}/{name}")

    def _make(self, claim: Json) -> None:
        metadata = claim["metadata"]
        label = LABELS[claim["spec"]["storageClassName"]]
        node = self.api.call("GET", f"/api/v1/nodes/{metadata['annotations'][SELECTED_NODE]}")
        place = node["metadata"]["labels"][label]
        name = f"{metadata['namespace']}_{metadata['name']}_{metadata['uid'][:8]}"
        path = self.directory / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)
        self.api.call("POST", VOLUMES, volume(claim, path, label, place))

    def _grow(self, claim: Json) -> None:
        metadata = claim["metadata"]
        capacity = {"capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]}}
        self.api.call("PATCH", f"{VOLUMES}/{volume_name(claim)}", {"spec": capacity}, MERGE)
        claims = f"/api/v1/namespaces/{metadata['namespace']}/persistentvolumeclaims"
        path = f"{claims}/{metadata['name']}/status"
        self.api.call("PATCH", path, {"status": capacity}, MERGE)
