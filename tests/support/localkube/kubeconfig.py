"""kubeconfig files that carry their credentials in themselves."""

import base64
import json
from pathlib import Path

from localkube.pki import Pki


def write_kubeconfig(
    path: Path,
    *,
    server: str,
    pki: Pki,
    user: str = "admin",
    token: str | None = None,
    namespace: str = "default",
) -> Path:
    """Write a kubeconfig for `user`'s certificate, or for `token` when there is one."""
    credential: dict[str, str] = {"token": token} if token else _certificate(pki, user)
    cluster = {"server": server, "certificate-authority-data": _base64(pki.file("ca.crt"))}
    context = {"cluster": "local", "user": user, "namespace": namespace}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "local",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": user, "user": credential}],
        "contexts": [{"name": "local", "context": context}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=1))
    return path


def _certificate(pki: Pki, user: str) -> dict[str, str]:
    return {
        "client-certificate-data": _base64(pki.file(f"{user}.crt")),
        "client-key-data": _base64(pki.file(f"{user}.key")),
    }


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
