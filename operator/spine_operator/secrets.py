"""Generates the Secrets of a cluster: once where one is missing, never overwritten, never logged.

Purposes: `cluster` (links, tokens), `admin` (admin plane), `ca`, `tls`, `client` (for people's pods).
The operator reads each by name in every pass and never lists Secrets. Values are text, entropy and time
are arguments. Source: operator.md §4, §7.9; api.md §5 for `keys.yaml`.
"""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import yaml

from spine_core import defaults
from spine_core.api_keys import ALL_NAMESPACES, Scope, new_key
from spine_operator.certificates import KeyPair, make_authority, make_leaf
from spine_operator.ports import Entropy
from spine_operator.resource.spec import ClusterResource

Values = Mapping[str, str]
SecretValues = Mapping[str, Values]  # purpose → key → text

SECRET_BYTES = 32


def purposes(cluster: ClusterResource) -> tuple[str, ...]:
    """Return the Secrets that a cluster needs, each after those it is made from."""
    tls = ("ca", "tls") if cluster.spec.access.tls else ()
    return ("cluster", "admin", *tls, "client")


def make_values(
    cluster: ClusterResource, purpose: str, have: SecretValues, entropy: Entropy, now_ms: int
) -> Values:
    """Return fresh contents for one Secret; `have` holds those it is made from."""
    match purpose:
        case "cluster":
            return {"secret": _token(entropy)}
        case "admin":
            return {"token": _token(entropy)}
        case "ca":
            authority = make_authority(cluster.key.name, now_ms)
            return {"ca.crt": authority.certificate, "ca.key": authority.key}
        case "tls":
            return _leaf(cluster, have["ca"], now_ms)
        case _:
            assert purpose == "client", purpose
            return _client(cluster, have.get("ca", {}), entropy)


def read_values(manifest: Mapping[str, Any]) -> Values:
    """Return the texts of a Secret. What is no text is left out, and so counts as lacking."""
    texts = {}
    for key, value in manifest.get("data", {}).items():
        with suppress(UnicodeDecodeError):
            texts[key] = b64decode(value).decode()
    return texts


def certificate_names(cluster: ClusterResource) -> tuple[str, ...]:
    """Names that the nodes' certificate stands for; the last ones serve `kubectl port-forward`."""
    key = cluster.key
    names = (f"*.{key.node_domain}", key.client_host, *cluster.spec.access.extra_names)
    return (*names, "localhost", "127.0.0.1")


def _token(entropy: Entropy) -> str:
    return urlsafe_b64encode(entropy(SECRET_BYTES)).rstrip(b"=").decode()


def _leaf(cluster: ClusterResource, authority: Values, now_ms: int) -> Values:
    signer = KeyPair(authority["ca.crt"], authority["ca.key"])
    leaf = make_leaf(signer, certificate_names(cluster), now_ms)
    return {"tls.crt": leaf.certificate, "tls.key": leaf.key, "ca.crt": signer.certificate}


def _client(cluster: ClusterResource, authority: Values, entropy: Entropy) -> Values:
    text, entry = new_key(entropy, subject="generated", scopes=Scope, namespaces=[ALL_NAMESPACES])
    scheme = "https" if cluster.spec.access.tls else "http"
    return {
        "api-key": text,
        "url": f"{scheme}://{cluster.key.client_host}:{defaults.PORT}",
        "keys.yaml": yaml.safe_dump({"keys": [entry]}, sort_keys=False),
        **({"ca.crt": authority["ca.crt"]} if "ca.crt" in authority else {}),
    }
