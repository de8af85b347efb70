"""The API server as JSON over HTTPS, for the few calls that this package and its tests make."""

import json
import ssl
from dataclasses import dataclass, field
from typing import Any

import urllib3

from localkube.errors import ApiError
from localkube.pki import Pki

Json = dict[str, Any]
TIMEOUT_S = 10.0
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
PLAIN = "application/json"


@dataclass(frozen=True)
class Api:
    """One identity's view of the API server. Safe to use from several threads."""

    server: str
    pki: Pki
    user: str = "admin"
    _pool: urllib3.PoolManager = field(init=False)

    def __post_init__(self) -> None:
        context = ssl.create_default_context(cafile=str(self.pki.file("ca.crt")))
        certificate, key = self.pki.file(f"{self.user}.crt"), self.pki.file(f"{self.user}.key")
        context.load_cert_chain(certificate, key)
        pool = urllib3.PoolManager(ssl_context=context, maxsize=4, retries=False, timeout=TIMEOUT_S)
        object.__setattr__(self, "_pool", pool)

    def call(self, method: str, path: str, body: Json | None = None, content: str = PLAIN) -> Json:
        """Send one request and return the answer.

        Raises:
            ApiError: the server answered with a refusal.
            urllib3.exceptions.HTTPError: there was no answer.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content}
        reply = self._pool.request(method, self.server + path, body=data, headers=headers)
        answer: Json = json.loads(reply.data)
        if reply.status >= 400:
            raise ApiError(reply.status, answer.get("message", ""))
        return answer

    def items(self, path: str) -> list[Json]:
        """Return the objects of a list."""
        found: list[Json] = self.call("GET", path)["items"]
        return found

    def is_ready(self) -> bool:
        """Tell whether the server says that it is ready."""
        try:
            return self._pool.request("GET", f"{self.server}/readyz", timeout=2.0).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def has(self, path: str) -> bool:
        """Tell whether an object is there."""
        try:
            self.call("GET", path)
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return True


def is_ready(kubernetes_object: Json) -> bool:
    """Tell whether a Kubernetes object's condition Ready is True."""
    conditions = kubernetes_object.get("status", {}).get("conditions", [])
    return any(it["type"] == "Ready" and it["status"] == "True" for it in conditions)
