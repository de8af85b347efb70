"""The Prometheus metrics of one node (protocol.md §17). No label carries a namespace or an id."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a gauge more for every counter


class RequestSeconds(Collector):
    """How long answers took, by route, for the event loop alone: it takes no lock, as every request pays."""

    def __init__(self) -> None:
        self._of_route: dict[str, tuple[list[int], list[float]]] = {}  # answers a bucket, seconds

    def observe(self, route: str, seconds: float) -> None:
        """Note one answer."""
        counts, total = self._of_route.get(route) or self._of_route.setdefault(
            route, ([0] * (len(SECONDS) + 1), [0.0])
        )
        counts[bisect_left(SECONDS, seconds)] += 1
        total[0] += seconds

    def describe(self) -> list[HistogramMetricFamily]:
        """Return the histogram without its values."""
        return [HistogramMetricFamily("spine_request_seconds", "time to answer", labels=("route",))]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram; its buckets count what is below them too."""
        [family] = self.describe()
        bounds = (*map(str, SECONDS), "+Inf")
        for route, (counts, total) in self._of_route.items():
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            family.add_metric((route,), buckets, total[0])
        yield family


class Metrics:
    """One registry per node, so that several nodes can live in one process of a test."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self.replication_lag = gauge(
            "spine_replication_lag_seconds", "now - F, the worst of this node's slots"
        )
        self.partition_skew = gauge(
            "spine_partition_skew_ratio", "slots of the fullest store / mean of all stores"
        )
        self.quorum_failures = counter(
            "spine_quorum_failures_total", "requests without a quorum", "op", "model", "reason"
        )
        self.restamped = counter("spine_writes_restamped_total", "writes that met a newer version")
        self.rerouted = counter("spine_writes_rerouted_total", "weak writes that met a register")
        self.rounds = counter(
            "spine_paxos_rounds_total", "changes of registers that were decided", "result"
        )
        self.registers_reaped = counter(
            "spine_reaper_rounds_total", "rounds that completed what others had left behind"
        )
        self.session_fallbacks = counter(
            "spine_session_fallbacks_total", "session reads that went to a quorum", "reason"
        )
        self.epoch = gauge("spine_epoch", "epoch of the topology document in force")
        self.pull_bytes = counter("spine_pull_bytes_total", "record bytes pulled", "reason")
        self.pull_records = counter("spine_pull_records_total", "records pulled", "reason")
        self.digest_mismatches = gauge(
            "spine_digest_mismatch_slots", "slots that differed in the last round of pulls"
        )
        self.disk_used = gauge("spine_disk_used_ratio", "bytes of the store / its quota")
        self.loop_lag = gauge("spine_loop_lag_seconds", "how late the event loop ran its timers")
        self.index_lag = gauge("spine_index_lag_seconds", "age of the oldest change not indexed")
        self.watches = gauge("spine_watches", "open watches, long polls among them")
        self.watch_lag = gauge(
            "spine_watch_lag_seconds", "how long ago the slowest open watch had read all there was"
        )
        self.boot_rollbacks = counter("spine_boot_rollbacks_total", "peers on a rolled-back disk")
        self.credentials_errors = counter(
            "spine_credentials_errors_total", "changed files of keys that were broken"
        )
        self.connections_closed = counter(
            "spine_connections_closed_total",
            "connections closed to stay within the limit",
            "reason",
        )
        self._request_seconds = RequestSeconds()
        registry.register(self._request_seconds)

    def answered(self, route: str, seconds: float) -> None:
        """Note how long an answer took; `route` is an operation id of the API."""
        self._request_seconds.observe(route, seconds)

    def text(self) -> bytes:
        """Return the exposition format."""
        return generate_latest(self._registry)
