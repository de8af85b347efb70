"""A fault plan: which call of a reconcile pass gets which false answer. Calls are counted over both ports."""

import copy
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from kubedouble.double import KubeDouble
from kubedouble.nodes import NodesDouble
from kubedouble.watchdog import Watchdog
from spine_core.topology.document import Document
from spine_operator.ports import Json, Kind, KubeError, NodeEndpoint, NodeError, NotFoundError

T = TypeVar("T")
FOREIGN = "ffffffff-0000-4000-8000-000000000000"


class Fault(StrEnum):
    """What goes wrong with one call."""

    ERROR = "error"  # it fails and does nothing
    AFTER = "after"  # it is done, and the answer is lost
    EMPTY = "empty"  # nothing is there
    STALE = "stale"  # the answer of some time ago
    FOREIGN = "foreign"  # somebody else's answer
    CRASH = "crash"  # the operator dies before it
    CRASH_AFTER = "crash after"  # the operator dies after it


READ_FAULTS = (Fault.ERROR, Fault.EMPTY, Fault.STALE, Fault.FOREIGN)
WRITE_FAULTS = (Fault.ERROR, Fault.AFTER)


class Crash(BaseException):
    """The operator's process is gone; nothing may catch it."""


@dataclass
class FaultPlan:
    """The plan and the count. `reads` and `writes` hold the numbers of the calls of each sort."""

    plan: dict[int, Fault] = field(default_factory=dict)
    reads: list[int] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)

    def next(self, calls: list[int]) -> Fault | None:
        number = len(self.reads) + len(self.writes)
        calls.append(number)
        fault = self.plan.get(number)
        if fault is Fault.CRASH:
            raise Crash
        return fault


class FaultyKube:
    """A `KubePort` under a fault plan; `past` is where stale answers come from."""

    def __init__(self, kube: Watchdog, faults: FaultPlan, past: KubeDouble) -> None:
        self._kube, self._faults, self._past = kube, faults, past

    async def get(self, kind: Kind, namespace: str, name: str) -> Json:
        fault = self._faults.next(self._faults.reads)
        if fault is Fault.ERROR:
            raise KubeError("no answer")
        if fault is Fault.EMPTY:
            raise NotFoundError("nothing, says a liar")
        source = self._past if fault is Fault.STALE else self._kube
        answer = await source.get(kind, namespace, name)
        return _foreign(answer) if fault is Fault.FOREIGN else answer

    async def list(self, kind: Kind, namespace: str, cluster: str) -> Sequence[Json]:
        fault = self._faults.next(self._faults.reads)
        if fault is Fault.ERROR:
            raise KubeError("no answer")
        if fault is Fault.EMPTY:
            return []
        source = self._past if fault is Fault.STALE else self._kube
        answer = await source.list(kind, namespace, cluster)
        return [_foreign(item) for item in answer] if fault is Fault.FOREIGN else answer

    async def create(self, manifest: Json) -> Json:
        return await self._write(lambda: self._kube.create(manifest))

    async def apply(self, manifest: Json) -> Json:
        return await self._write(lambda: self._kube.apply(manifest))

    async def patch(self, kind: Kind, namespace: str, name: str, patch: Json) -> Json:
        return await self._write(lambda: self._kube.patch(kind, namespace, name, patch))

    async def patch_status(self, namespace: str, name: str, status: Json) -> None:
        await self._write(lambda: self._kube.patch_status(namespace, name, status))

    async def replace(self, manifest: Json) -> Json:
        return await self._write(lambda: self._kube.replace(manifest))

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        await self._write(lambda: self._kube.delete(kind, namespace, name, uid=uid))

    async def _write(self, call: Callable[[], Awaitable[T]]) -> T:
        fault = self._faults.next(self._faults.writes)
        if fault is Fault.ERROR:
            raise KubeError("refused")
        answer = await call()
        if fault is Fault.AFTER:
            raise KubeError("no answer, although it was done")
        if fault is Fault.CRASH_AFTER:
            raise Crash
        return answer


class FaultyNodes:
    """A `NodesPort` under the same plan."""

    def __init__(self, nodes: NodesDouble, faults: FaultPlan, past: NodesDouble) -> None:
        self._nodes, self._faults, self._past = nodes, faults, past

    async def status(self, endpoint: NodeEndpoint) -> Json:
        fault = self._faults.next(self._faults.reads)
        if fault is Fault.ERROR:
            raise NodeError("no answer")
        if fault is Fault.EMPTY:
            return {}
        source = self._past if fault is Fault.STALE else self._nodes
        answer = await source.status(endpoint)
        if fault is Fault.FOREIGN:
            return {**answer, "cluster_id": FOREIGN, "epoch": 99, "digest": "0" * 64}
        return answer

    async def adopt(self, endpoint: NodeEndpoint, store_id: str, document: Document) -> None:
        await self._write(lambda: self._nodes.adopt(endpoint, store_id, document))

    async def set_pace(
        self, endpoint: NodeEndpoint, store_id: str, *, bytes_per_s: int, slots: int
    ) -> None:
        await self._write(
            lambda: self._nodes.set_pace(endpoint, store_id, bytes_per_s=bytes_per_s, slots=slots)
        )

    async def _write(self, call: Callable[[], Awaitable[None]]) -> None:
        fault = self._faults.next(self._faults.writes)
        if fault is Fault.ERROR:
            raise NodeError("refused")
        await call()
        if fault is Fault.AFTER:
            raise NodeError("no answer, although it was done")
        if fault is Fault.CRASH_AFTER:
            raise Crash


def _foreign(item: Json) -> Json:
    """Return the object as if another cluster's operator had made it."""
    other = copy.deepcopy(dict(item))
    other["metadata"] |= {"uid": FOREIGN, "generation": 99, "resourceVersion": "99999"}
    labels = other["metadata"].get("labels")
    if labels:
        labels["memoryspine.io/cluster"] = "other"
    if "ownerReferences" in other["metadata"]:
        other["metadata"]["ownerReferences"] = [{"uid": FOREIGN, "controller": True}]
    return other
