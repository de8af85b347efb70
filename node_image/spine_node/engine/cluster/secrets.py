"""The secrets of a node and the keys that follow from them.

A cluster secret may have a predecessor while it is rotated: the first signs, both are accepted. They
are read when the node starts; a rotation restarts the nodes one by one.
"""

from pathlib import Path

from spine_core.errors import InvalidInputError
from spine_core.records.tokens import KeyKind, derive_key

SECRET_BYTES_MIN = 16


class Secrets:
    """Cluster secrets, newest first, and the admin credential where one was given."""

    def __init__(self, cluster: tuple[bytes, ...], admin: tuple[str, ...] = ()) -> None:
        if not cluster or min(map(len, cluster)) < SECRET_BYTES_MIN:
            raise InvalidInputError(
                f"the cluster secret needs {SECRET_BYTES_MIN} bytes or more; make one with "
                "`spine key secret`",
                path="cluster.secret",
            )
        self._cluster, self._admin = cluster, admin
        self._keys: dict[KeyKind, tuple[bytes, ...]] = {}  # derived once: every request asks

    @classmethod
    def from_files(cls, cluster: Path, admin: Path) -> "Secrets":
        """Read what the operator mounted: the secret, `previous` beside it, the admin token.

        Raises:
            InvalidInputError: a file is missing or too short.
        """
        try:
            secrets = [cluster.read_bytes().strip()]
            previous = cluster.with_name("previous")
            if previous.exists():
                secrets.append(previous.read_bytes().strip())
            return cls(tuple(secrets), (admin.read_text().strip(),))
        except OSError as error:
            raise InvalidInputError(f"cannot read {error.filename}", path="secrets") from error

    def keys(self, kind: KeyKind) -> tuple[bytes, ...]:
        """Return the keys of one kind: the first signs, all are accepted."""
        if kind not in self._keys:
            self._keys[kind] = tuple(derive_key(secret, kind) for secret in self._cluster)
        return self._keys[kind]

    def link_tokens(self) -> tuple[str, ...]:
        """Return the bearer credentials of links: the first is sent, all are accepted."""
        return tuple(key.hex() for key in self.keys("link"))

    def admin_tokens(self) -> tuple[str, ...]:
        """Return the bearer credentials of the admin plane."""
        return self._admin
