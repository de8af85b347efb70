"""The secret that the nodes of a static cluster share, in a file beside the cluster file.

`cluster.yaml` has `cluster.secret`: 64 hex digits. While it is rotated it holds two lines, newest
first; the first signs, both are accepted. Whoever holds it may speak as a node and as the operator.
"""

import os
from contextlib import suppress
from pathlib import Path

from spine_core.errors import InvalidInputError
from spine_core.records.tokens import derive_key
from spine_node.cluster_file import ClusterFile

ENTROPY_BYTES = 32


def secret_path(cluster_file: Path) -> Path:
    """Return where the secret of a cluster file stands."""
    return cluster_file.with_suffix(".secret")


def load_secrets(path: Path) -> tuple[bytes, ...]:
    """Return the secrets, newest first.

    Raises:
        InvalidInputError: the file is missing or empty.
    """
    try:
        secrets = tuple(path.read_bytes().split())
    except OSError as error:
        message = "cannot be read; make it with `spine key secret` and copy it to every node"
        raise InvalidInputError(message, path=str(path)) from error
    if not secrets:
        raise InvalidInputError("holds no secret", path=str(path))
    return secrets


def make_secret(path: Path, entropy: bytes) -> None:
    """Write a new secret, readable by its owner only. Of several writers at once the first wins.

    Raises:
        FileExistsError: there is one already.
    """
    assert len(entropy) == ENTROPY_BYTES, "a secret takes 32 random bytes"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.touch(mode=0o600)
        draft.write_text(f"{entropy.hex()}\n")
        os.link(draft, path)  # atomic, and fails when the name is taken
    finally:
        draft.unlink(missing_ok=True)


def load_or_make_secret(path: Path, cluster: ClusterFile, entropy: bytes) -> tuple[bytes, ...]:
    """Return the secrets beside the cluster file at `path`.

    One is made when the whole cluster lives on this machine, where nobody has to copy it.

    Raises:
        InvalidInputError: the file is missing, and other machines belong to the cluster.
    """
    secret = secret_path(path)
    if cluster.is_loopback and not secret.exists():
        with suppress(FileExistsError):  # another node was faster; its secret is ours too
            make_secret(secret, entropy)
    return load_secrets(secret)


def admin_token(secret: bytes) -> str:
    """Return the credential of the admin plane that follows from a secret."""
    return derive_key(secret, "admin").hex()
