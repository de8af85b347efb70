"""The HTTP face of an API server that starts beside the operator: discovery, one Lease, empty lists.

`troubles` are answers that a path gives first, in their order.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

GROUP = "memoryspine.io"
SERVED = {
    "/api/v1": ("Pod", "PersistentVolumeClaim", "ConfigMap", "Namespace"),
    "/apis/apiextensions.k8s.io/v1": ("CustomResourceDefinition",),
    "/apis/apps/v1": ("StatefulSet",),
    f"/apis/{GROUP}/v1alpha1": ("MemorySpineCluster",),
}
VERBS = ["get", "list", "watch", "patch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One answer that is none yet."""

    status: int
    message: str = ""
    retry_after_s: int | None = None


@dataclass(slots=True)
class ApiServer:
    """Answers as the real one does for the calls that a start needs."""

    troubles: dict[str, list[Trouble]]
    lease: dict[str, Any] | None = None
    watched: asyncio.Event = field(default_factory=asyncio.Event)  # the custom resources are
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        waiting = self.troubles.get(request.path)
        if waiting:
            return _refusal(waiting.pop(0))
        if "/leases" in request.path:
            return await self._lease(request)
        if "watch" in request.query:
            return await self._watch(request)
        return web.json_response(_found(request.path))

    async def _lease(self, request: web.Request) -> web.Response:
        if request.method in ("POST", "PUT"):
            self.lease = json.loads(await request.text())
            self.lease["metadata"]["resourceVersion"] = "1"
        return web.json_response(self.lease) if self.lease else _refusal(Trouble(status=404))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        if request.path.endswith("/memoryspineclusters"):
            self.watched.set()
        await self.closing.wait()
        return stream


def _refusal(trouble: Trouble) -> web.Response:
    after = trouble.retry_after_s
    headers = {"Retry-After": str(after)} if after is not None else {}
    status = {"kind": "Status", "code": trouble.status, "message": trouble.message}
    return web.json_response(status, status=trouble.status, headers=headers)


def _found(path: str) -> dict[str, Any]:
    if path == "/api":
        return {"versions": ["v1"]}
    if path == "/apis":
        groups = [one.split("/")[2:] for one in SERVED if one.startswith("/apis/")]
        return {"groups": [_group(name, version) for name, version in groups]}
    if path in SERVED:
        return {"resources": [_resource(kind) for kind in SERVED[path]]}
    return {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": []}


def _group(name: str, version: str) -> dict[str, Any]:
    one = {"version": version}
    return {"name": name, "versions": [one], "preferredVersion": one}


def _resource(kind: str) -> dict[str, Any]:
    plural, singular = f"{kind.lower()}s", kind.lower()
    names = {"kind": kind, "name": plural, "singularName": singular}
    return {**names, "namespaced": True, "verbs": VERBS}
