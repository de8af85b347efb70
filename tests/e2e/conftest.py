"""The fixtures of a real cluster."""

from localkube.fixtures import cluster, cluster_namespace

__all__ = ["cluster", "cluster_namespace"]
