"""The fixtures of a real control plane."""

from localkube.fixtures import control_plane, namespace

__all__ = ["control_plane", "namespace"]
