"""The ConfigMap that holds the topology document. It has no owner: it outlives the custom resource."""

from spine_core.topology.document import Document
from spine_operator.manifests.objects import Manifest, child
from spine_operator.naming import PUBLISHED_ANNOTATION
from spine_operator.resource.spec import ClusterResource

DOCUMENT_KEY = "document"


def topology_map(cluster: ClusterResource, document: Document, now_ms: int) -> Manifest:
    """Return the ConfigMap with the document in its canonical form, the one that its digest is made of."""
    name = cluster.key.topology_map
    manifest = child(cluster, "v1/ConfigMap", name, "topology", owned=False)
    manifest["metadata"]["annotations"] = {PUBLISHED_ANNOTATION: str(now_ms)}
    manifest["data"] = {DOCUMENT_KEY: document.canonical().decode()}
    return manifest
