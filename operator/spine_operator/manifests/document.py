"""The ConfigMap that holds the topology document. It has no owner: it outlives the custom resource."""

from spine_core.topology import Document
from spine_operator.manifests.objects import Manifest, child
from spine_operator.spec import Cluster

DOCUMENT_KEY = "document"


def topology_map(cluster: Cluster, document: Document) -> Manifest:
    """Keep the document in its canonical form, the one that its digest is made of."""
    return {
        **child(cluster, "v1/ConfigMap", cluster.key.topology_map, "topology", owned=False),
        "data": {DOCUMENT_KEY: document.canonical().decode()},
    }
