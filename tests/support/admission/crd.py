"""The CustomResourceDefinition as parsed YAML: the one copy that the server and these tests read."""

from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

CRD_FILE = Path(__file__).parents[3] / "crds" / "memoryspineclusters.yaml"
CRD: Json = yaml.safe_load(CRD_FILE.read_text())
SCHEMA: Json = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def resource(spec: Json, *, name: str = "spine", status: Json | None = None) -> Json:
    """Return a MemorySpineCluster around `spec`, with `status` when there is one."""
    return {
        "apiVersion": "memoryspine.io/v1alpha1",
        "kind": "MemorySpineCluster",
        "metadata": {"name": name},
        "spec": spec,
        **({"status": status} if status else {}),
    }
