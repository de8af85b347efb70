"""The operator's metrics, served on `/metrics` (operator.md §10)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from spine_core.planning.actions import Blocked, Done
from spine_operator.naming import ClusterKey
from spine_operator.plan.actions import ReconcilePlan
from spine_operator.ports import Json

_CLUSTER = ("namespace", "cluster")


class Metrics:
    """The gauges and counters of this process; those of a cluster go with it."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.pass_seconds = Histogram(
            "memoryspine_turn_seconds", "Duration of one reconcile pass", registry=registry
        )
        self.kube_writes = Counter(
            "memoryspine_kube_writes", "Writes to Kubernetes", ("kind", "verb"), registry=registry
        )
        self.admin_calls = Counter(
            "memoryspine_admin_calls", "Calls to nodes", ("result",), registry=registry
        )
        self.lease_held = Gauge(
            "memoryspine_lease_held", "1 while this process leads", registry=registry
        )
        self._condition = Gauge(
            "memoryspine_condition",
            "1 for the status that a condition has",
            (*_CLUSTER, "type", "status"),
            registry=registry,
        )
        self._operation = Gauge(
            "memoryspine_operation_info",
            "1 for what is in progress",
            (*_CLUSTER, "type", "step"),
            registry=registry,
        )
        self._blocked = Gauge(
            "memoryspine_operation_blocked",
            "1 for the guard that does not let an operation pass",
            (*_CLUSTER, "check", "verdict"),
            registry=registry,
        )
        self._epoch = Gauge(
            "memoryspine_epoch", "Epoch of the topology document", _CLUSTER, registry=registry
        )
        self._under = Gauge(
            "memoryspine_underreplicated_slots",
            "Slots that lack a replica in step",
            _CLUSTER,
            registry=registry,
        )

    def show(self, key: ClusterKey, plan: ReconcilePlan, status: Json) -> None:
        """Set the gauges of a cluster from the result of its last reconcile pass."""
        self.forget(key)
        for condition in status["conditions"]:
            self._condition.labels(*key, condition["type"], condition["status"]).set(1)
        operation = status.get("operation")
        if operation and not isinstance(plan.decision, Done):
            self._operation.labels(*key, operation["type"], operation["step"]).set(1)
        if isinstance(plan.decision, Blocked):
            verdict = type(plan.decision.verdict).__name__
            self._blocked.labels(*key, plan.decision.guard, verdict).set(1)
        topology = status.get("topology")
        if topology:
            self._epoch.labels(*key).set(topology["epoch"])
            self._under.labels(*key).set(topology["underReplicatedSlots"])

    def forget(self, key: ClusterKey) -> None:
        """Drop the series of a cluster."""
        labels = dict(zip(_CLUSTER, key, strict=True))
        gauges = (self._condition, self._operation, self._blocked, self._epoch, self._under)
        for gauge in gauges:
            gauge.remove_by_labels(labels)
