"""A cluster that reconcile can run: the doubles, and just enough of Kubernetes' controllers.

StatefulSets get their pods and claims, pods come up at once, what has no owner any more is collected.
Time moves only between passes. The whole fake can be copied, so a test goes back to any moment.
"""

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

from admission.crd import SCHEMA
from admission.structural import fill_defaults
from kubedouble.double import KubeDouble
from kubedouble.faults import FaultPlan, FaultyKube, FaultyNodes
from kubedouble.nodes import NodesDouble, Store
from kubedouble.watchdog import Watchdog
from spine_core.errors import SpineError
from spine_core.planning.actions import Blocked, Done
from spine_core.topology.document import Document
from spine_operator.naming import FINALIZER, ClusterKey
from spine_operator.observe.parse import read_document
from spine_operator.ports import Kind, KubePort, NodesPort, Ports
from spine_operator.reconcile import ReconcileResult, reconcile

KEY = ClusterKey("agents", "spine")
START_MS = 1_767_225_600_000  # 2026-01-01
PASSES_MAX = 120
ZONES = [{"name": "a"}, {"name": "b"}, {"name": "c"}]


class FakeKubeCluster:
    """One namespace with one cluster."""

    def __init__(self, **spec: Any) -> None:
        self.kube, self.nodes = KubeDouble(), NodesDouble()
        self.now_ms = START_MS
        self.chance = random.Random(1)
        self.stores: dict[str, Store] = {}  # uid of the claim → the store on its volume
        self.held_back: set[str] = set()  # seats whose pods do not come up
        resource: dict[str, Any] = {
            "apiVersion": "memoryspine.io/v1alpha1",
            "kind": "MemorySpineCluster",
            "metadata": {"name": KEY.name, "namespace": KEY.namespace, "finalizers": [FINALIZER]},
            "spec": {"version": "1.0.0", "storage": {"size": "1Gi"}, **copy.deepcopy(spec)},
        }
        fill_defaults(SCHEMA, resource)
        self.kube.add(resource)

    key = KEY

    def ports(
        self, faults: FaultPlan | None = None, past: "FakeKubeCluster | None" = None
    ) -> Ports:
        """The ports onto the fake cluster; stale answers come from `past`."""
        kube: KubePort = Watchdog(self)
        nodes: NodesPort = self.nodes
        if faults is not None:
            before = past or self
            kube = FaultyKube(Watchdog(self), faults, before.kube)
            nodes = FaultyNodes(self.nodes, faults, before.nodes)
        return Ports(
            kube=kube,
            nodes=nodes,
            now_ms=lambda: self.now_ms,
            entropy=self.chance.randbytes,
            lease_held=lambda: True,
            address_of=lambda _seat: None,
            node_image="localhost/memory-spine-node",
        )

    def change_spec(self, **spec: Any) -> None:
        """Do what `kubectl patch` would do."""
        self.kube.edit(Kind.CLUSTER, KEY.namespace, KEY.name, {"spec": spec})

    def delete_cluster(self) -> None:
        self.kube.remove(Kind.CLUSTER, KEY.namespace, KEY.name)

    async def reconcile_pass(self, ports: Ports | None = None) -> ReconcileResult:
        """One reconcile pass of the operator, then one of the controllers."""
        try:
            result = await reconcile(KEY, self.uid, ports or self.ports())
        except SpineError:
            result = ReconcileResult(1.0)
        self.controllers()
        self.now_ms += int(result.requeue_after_s * 1000)
        return result

    async def settle(
        self, until: Callable[[ReconcileResult], bool] | None = None
    ) -> ReconcileResult:
        """Run passes until the operator is done (or what the test asks for)."""
        finished = until or (lambda result: result.gone or is_done(result))
        for _ in range(PASSES_MAX):
            result = await self.reconcile_pass()
            if finished(result):
                return result
        raise AssertionError(f"not settled: {result.plan and result.plan.decision}")

    def controllers(self) -> None:
        """What the StatefulSet controller, the kubelets and the garbage collector do."""
        self._collect()
        wanted: set[str] = set()
        for statefulset in self.all(Kind.STATEFULSET):
            for ordinal in range(statefulset["spec"]["replicas"]):
                seat = f"{statefulset['metadata']['name']}-{ordinal}"
                wanted.add(seat)
                self._ensure_pod(statefulset, seat)
        for pod in self.all(Kind.POD):
            if pod["metadata"]["name"] not in wanted:
                self.kube.remove(Kind.POD, KEY.namespace, pod["metadata"]["name"])
        self._start_nodes()

    def all(self, kind: Kind) -> Sequence[dict[str, Any]]:
        return [item for key, item in sorted(self.kube.objects.items()) if key[0] is kind]

    def find(self, kind: Kind, name: str) -> dict[str, Any] | None:
        return self.kube.objects.get((kind, KEY.namespace, name))

    @property
    def document(self) -> Document:
        """The stored document."""
        fields = read_document(self.find(Kind.CONFIG_MAP, KEY.topology_map))
        document = fields["document"]
        assert isinstance(document, Document)
        return document

    @property
    def resource(self) -> dict[str, Any]:
        """The custom resource, an empty one when it is gone."""
        return self.find(Kind.CLUSTER, KEY.name) or {"metadata": {}}

    @property
    def uid(self) -> str:
        """What tells this resource from another one of its name; empty when it is gone."""
        return str(self.resource["metadata"].get("uid", ""))

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.resource.get("status", {}))

    def condition(self, kind: str) -> dict[str, Any]:
        found = [one for one in self.status["conditions"] if one["type"] == kind]
        return found[0] if found else {}

    def events(self) -> list[dict[str, Any]]:
        """What people were told."""
        return list(self.all(Kind.EVENT))

    def end_state(self) -> Any:
        """What must be the same however often the operator was killed on the way."""
        pods = sorted(pod["metadata"]["name"] for pod in self.all(Kind.POD))
        claims = sorted(claim["metadata"]["name"] for claim in self.all(Kind.CLAIM))
        if self.find(Kind.CONFIG_MAP, KEY.topology_map) is None:
            return pods, claims, None
        document = self.document
        return pods, claims, sorted(document.current), document.phase

    def _collect(self) -> None:
        alive = {item["metadata"]["uid"] for item in self.kube.objects.values()}
        for (kind, namespace, name), item in sorted(self.kube.objects.items()):
            owners = [one["uid"] for one in item["metadata"].get("ownerReferences", ())]
            if owners and not alive & set(owners):
                self.kube.remove(kind, namespace, name)

    def _ensure_pod(self, statefulset: dict[str, Any], seat: str) -> None:
        template = statefulset["spec"]["template"]
        claim = statefulset["spec"]["volumeClaimTemplates"][0]
        name = f"data-{seat}"
        if self.find(Kind.CLAIM, name) is None:
            self.kube.add(
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "metadata": {
                        "name": name,
                        "namespace": KEY.namespace,
                        "labels": dict(claim["metadata"]["labels"]),
                    },
                    "spec": claim["spec"],
                }
            )
        if self.find(Kind.POD, seat) is None:
            self.kube.add(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {
                        "name": seat,
                        "namespace": KEY.namespace,
                        "labels": dict(template["metadata"]["labels"]),
                        "ownerReferences": [{"uid": statefulset["metadata"]["uid"]}],
                    },
                    "spec": {"nodeName": f"host-of-{seat}"},
                    "status": {},
                }
            )

    def _start_nodes(self) -> None:
        running = {}
        for pod in self.all(Kind.POD):
            seat = pod["metadata"]["name"]
            up = seat not in self.held_back
            pod["status"] = {"conditions": [{"type": "Ready", "status": "True" if up else "False"}]}
            claim = self.find(Kind.CLAIM, f"data-{seat}")
            if up and claim is not None:
                uid = claim["metadata"]["uid"]
                if uid not in self.stores:
                    self.stores[uid] = Store(id=str(_uuid(len(self.stores))), seat=seat)
                running[seat] = self.stores[uid]
        self.nodes.running = running


def is_done(result: ReconcileResult) -> bool:
    return result.plan is not None and isinstance(result.plan.decision, Done)


def is_blocked_by(guard: str) -> Callable[[ReconcileResult], bool]:
    def check(result: ReconcileResult) -> bool:
        decision = result.plan.decision if result.plan else None
        return isinstance(decision, Blocked) and decision.guard == guard

    return check


def _uuid(number: int) -> str:
    return f"00000000-0000-4000-9000-{number:012d}"


__all__ = ["KEY", "ZONES", "FakeKubeCluster", "is_blocked_by", "is_done"]
