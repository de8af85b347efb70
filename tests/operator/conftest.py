"""Builders that every operator test uses: a custom resource as the API server would return it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from admission.crd import SCHEMA
from admission.structural import fill_defaults
from spine_operator.resource.spec import ClusterResource, parse_cluster

Json = dict[str, Any]
MakeResource = Callable[..., Json]
MakeCluster = Callable[..., ClusterResource]


def defaulted(name: str = "spine", **spec: Any) -> Json:
    """Return a custom resource with the CRD's defaults filled in."""
    resource: Json = {
        "apiVersion": "memoryspine.io/v1alpha1",
        "kind": "MemorySpineCluster",
        "metadata": {
            "name": name,
            "namespace": "agents",
            "uid": "11111111-0000-4000-8000-000000000001",
            "resourceVersion": "1",
            "generation": 1,
            "finalizers": ["memoryspine.io/finalizer"],
        },
        "spec": {"version": "1.0.0", "storage": {"size": "1Gi"}, **copy.deepcopy(spec)},
    }
    fill_defaults(SCHEMA, resource)
    return resource


@pytest.fixture
def make_resource() -> MakeResource:
    return defaulted


@pytest.fixture
def make_cluster() -> MakeCluster:
    def make(name: str = "spine", **spec: Any) -> ClusterResource:
        return parse_cluster(defaulted(name, **spec))

    return make
