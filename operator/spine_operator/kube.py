"""Implements `KubePort` with the official asynchronous client: paths, verbs and errors, nothing else.

Every failure becomes a typed `KubeError`; only the server's own 404 becomes `NotFoundError`.
Reads name no resourceVersion, so they come from etcd's quorum and never from a cache.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

import aiohttp

os.environ.setdefault("HOME", "/")  # else importing the client ends where our uid has no account
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.exceptions import ApiException

from spine_core.errors import InvalidInputError
from spine_operator.naming import CLUSTER_LABEL, FIELD_MANAGER
from spine_operator.ports import (
    ConflictError,
    ForbiddenError,
    Json,
    Kind,
    KubeError,
    NotFoundError,
    RefusedError,
    kind_of,
)

CountWrite = Callable[[str, str], None]  # (plural of the kind, verb), before each write

REQUEST_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=5)

PLURALS: Final[Mapping[Kind, str]] = {
    Kind.CLUSTER: "memoryspineclusters",
    Kind.STATEFULSET: "statefulsets",
    Kind.POD: "pods",
    Kind.CLAIM: "persistentvolumeclaims",
    Kind.SERVICE: "services",
    Kind.CONFIG_MAP: "configmaps",
    Kind.SECRET: "secrets",
    Kind.BUDGET: "poddisruptionbudgets",
    Kind.NETWORK_POLICY: "networkpolicies",
    Kind.EVENT: "events",
    Kind.LEASE: "leases",
}

_PLAIN: Final = "application/json"
_MERGE: Final = "application/merge-patch+json"
_APPLY: Final = "application/apply-patch+yaml"
_MANAGER: Final = ("fieldManager", FIELD_MANAGER)
_ERRORS: Final[Mapping[int, type[KubeError]]] = {
    400: RefusedError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: RefusedError,
}


def path_of(kind: Kind, namespace: str, name: str = "") -> str:
    """Return the path of an object, or of the collection when no name is given."""
    api_version = kind.value.rpartition("/")[0]
    root = "/apis" if "/" in api_version else "/api"
    path = f"{root}/{api_version}/namespaces/{namespace}/{PLURALS[kind]}"
    return f"{path}/{name}" if name else path


async def load_configuration(environment: Mapping[str, str] = os.environ) -> Configuration:
    """Return how to reach Kubernetes: by `KUBECONFIG` where it is set, else from inside the cluster.

    Raises:
        InvalidInputError: neither says how.
    """
    configuration = Configuration()
    file = environment.get("KUBECONFIG")
    try:
        if file:
            load = config.load_kube_config
            await load(config_file=file, client_configuration=configuration)  # type: ignore[no-untyped-call]  # as the client is
        else:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # as the client is
    except config.ConfigException as error:
        reason = f"no way to reach Kubernetes, set KUBECONFIG or run in a pod: {error}"
        raise InvalidInputError(reason) from error
    return configuration


class Kube:
    """The Kubernetes API. One connection pool; use it as a context."""

    def __init__(self, configuration: Configuration, count: CountWrite = lambda *_: None) -> None:
        self._client = ApiClient(configuration)
        self._count = count

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]  # as the client is

    async def get(self, kind: Kind, namespace: str, name: str) -> Json:
        """Return one object."""
        return await self._call("GET", path_of(kind, namespace, name))

    async def list(self, kind: Kind, namespace: str, cluster: str) -> Sequence[Json]:
        """Return all objects of a kind that carry the label of this cluster."""
        query = (("labelSelector", f"{CLUSTER_LABEL}={cluster}"),)
        answer = await self._call("GET", path_of(kind, namespace), query=query)
        if "items" not in answer:
            raise KubeError(f"the list of {kind} has no items")
        api_version, _, bare = kind.value.rpartition("/")
        # Items of a list do not say what they are.
        return [{"apiVersion": api_version, "kind": bare, **item} for item in answer["items"]]

    async def check_served(self, kind: Kind, namespace: str) -> None:
        """Return when a kind is among the API groups and can be listed.

        Raises:
            NotFoundError: it is not there, or not yet.
        """
        group, version, bare = kind.value.split("/")
        groups = await self._call("GET", "/apis")
        if group not in {one["name"] for one in groups["groups"]}:
            raise NotFoundError(f"Kubernetes does not list the group {group}")
        resources = await self._call("GET", f"/apis/{group}/{version}")
        if PLURALS[kind] not in {one["name"] for one in resources["resources"]}:
            raise NotFoundError(f"Kubernetes does not list {bare} in {group}/{version}")
        await self.list(kind, namespace, "")

    async def create(self, manifest: Json) -> Json:
        """Create an object."""
        kind, namespace, _ = _address(manifest)
        return await self._call("POST", path_of(kind, namespace), query=(_MANAGER,), body=manifest)

    async def apply(self, manifest: Json) -> Json:
        """Apply our fields by force (server-side apply)."""
        path = path_of(*_address(manifest))
        query = (_MANAGER, ("force", "true"))
        return await self._call("PATCH", path, query=query, body=manifest, content=_APPLY)

    async def patch(self, kind: Kind, namespace: str, name: str, patch: Json) -> Json:
        """Merge `patch` into the object."""
        path = path_of(kind, namespace, name)
        return await self._call("PATCH", path, query=(_MANAGER,), body=patch, content=_MERGE)

    async def patch_status(self, namespace: str, name: str, status: Json) -> None:
        """Merge `status` into the status of a custom resource."""
        path = path_of(Kind.CLUSTER, namespace, name) + "/status"
        body = {"status": status}
        await self._call("PATCH", path, query=(_MANAGER,), body=body, content=_MERGE)

    async def replace(self, manifest: Json) -> Json:
        """Replace an object that has not changed since it was read."""
        return await self._call("PUT", path_of(*_address(manifest)), body=manifest)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete the object with this UID, in the background."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        await self._call("DELETE", path_of(kind, namespace, name), body=body)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: tuple[tuple[str, str], ...] = (),
        body: Json | None = None,
        content: str = _PLAIN,
    ) -> dict[str, Any]:
        if method != "GET":
            self._count(_plural_in(path), method.lower())
        headers = {"Accept": _PLAIN, "Content-Type": content}
        try:
            request = await self._client.param_serialize(
                method,
                path,
                query_params=list(query),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await self._client.call_api(*request, _request_timeout=REQUEST_TIMEOUT)
            text = await response.read()  # type: ignore[no-untyped-call]  # as the client is
        except (aiohttp.ClientError, ApiException, OSError) as error:  # time-outs are OSErrors
            raise KubeError(f"{method} {path}: {type(error).__name__} {error}") from error
        return _answer(method, path, response, text)


def _address(manifest: Json) -> tuple[Kind, str, str]:
    metadata = manifest["metadata"]
    return kind_of(manifest), metadata["namespace"], metadata["name"]


def _plural_in(path: str) -> str:
    return path.partition("/namespaces/")[2].split("/")[1]


def _answer(method: str, path: str, response: Any, text: bytes) -> dict[str, Any]:
    """Return the body of a success; raise the error of a failure."""
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    detail = answer.get("message", "") if isinstance(answer, dict) else "not JSON"
    message = f"{method} {path}: {response.status} {detail}"
    if response.status >= 400:
        after = response.headers.get("Retry-After", "")
        raise _ERRORS.get(response.status, KubeError)(
            message, retry_after_s=float(after) if after.isdigit() else None
        )
    if not isinstance(answer, dict):
        raise KubeError(message)
    return answer
