"""OCI images without Docker: Debian packages, pinned wheels and the project's own wheel as layers."""

from localkube.images.project import build_images

__all__ = ["build_images"]
