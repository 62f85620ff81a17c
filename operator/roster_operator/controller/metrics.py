"""What Prometheus is told. Names are controller-runtime's where it has them, so that stock dashboards work.

Figures for one object exist only while their number is bounded: one line a connection, and one for each of the syncs
that have waited longest.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .view import View

MAX_OBJECTS = 20_000  # lines of one metric that names objects
MAX_WAITING = 500
MAX_REASONS = 64


class Metrics:
    """All metrics of the process, in a registry of their own."""

    def __init__(self, view: View) -> None:
        self.registry = CollectorRegistry()
        one = self.registry
        self.reconciles = Counter(
            "controller_runtime_reconcile", "Reconciliations by result.", ["controller", "result"], registry=one
        )
        self.reconcile_errors = Counter(
            "controller_runtime_reconcile_errors", "Reconciliations that failed.", ["controller"], registry=one
        )
        self.reconcile_time = Histogram(
            "controller_runtime_reconcile_time_seconds", "Time of one reconciliation.", ["controller"], registry=one
        )
        self.active_workers = Gauge(
            "controller_runtime_active_workers", "Reconciliations under way.", ["controller"], registry=one
        )
        self.depth = Gauge("workqueue_depth", "Objects waiting to be reconciled.", ["name"], registry=one)
        self.adds = Counter("workqueue_adds", "Objects put into the queue.", ["name"], registry=one)
        self.retries = Counter("workqueue_retries", "Objects tried again.", ["name"], registry=one)
        self.queue_time = Histogram(
            "workqueue_queue_duration_seconds", "Time an object waited for its turn.", ["name"], registry=one
        )
        self.requests = Counter("rest_client_requests", "Requests to the API server.", ["code", "method"], registry=one)
        self.failed = Counter("roster_syncs_failed", "Syncs that failed.", ["reason"], registry=one)
        self.leader = Gauge("roster_operator_leader", "1 where this process holds the Lease.", registry=one)
        self.clock_offset = Gauge(
            "roster_operator_clock_offset_seconds",
            "How much the API server's clock is ahead of this process's; 0 within five seconds.",
            registry=one,
        )
        self._reasons: set[str] = set()
        one.register(_ViewCollector(view))

    def count_failure(self, reason: str) -> None:
        """One more failed sync. Reasons come from workers; their number is kept bounded."""
        if reason not in self._reasons and len(self._reasons) >= MAX_REASONS:
            reason = "Other"
        self._reasons.add(reason)
        self.failed.labels(reason).inc()

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


class _ViewCollector(Collector):
    """Figures about the resources, counted when they are asked for."""

    def __init__(self, view: View) -> None:
        self._view = view

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        yield from self._connections()
        yield from self._syncs()

    def _connections(self) -> Iterable[Metric]:
        connections = self._view.connections
        by_ready = GaugeMetricFamily("roster_connections", "Connections by readiness.", labels=["ready"])
        tally = Tally(item.ready for item in connections.values())
        for ready in ("True", "False", "Unknown"):
            by_ready.add_metric([ready], tally[ready])
        yield by_ready
        one = GaugeMetricFamily(
            "roster_connection_ready", "1 where the connection is ready.", labels=["namespace", "name"]
        )
        merged = GaugeMetricFamily(
            "roster_connection_last_merge_timestamp_seconds",
            "When a sync of the connection was merged last.",
            labels=["namespace", "name"],
        )
        for (namespace, name), item in list(connections.items())[:MAX_OBJECTS]:
            one.add_metric([namespace, name], 1.0 if item.ready == "True" else 0.0)
            if item.last_merged is not None:
                merged.add_metric([namespace, name], item.last_merged.timestamp())
        yield one
        yield merged

    def _syncs(self) -> Iterable[Metric]:
        syncs = self._view.syncs
        by_phase = GaugeMetricFamily(
            "roster_syncs", "Syncs by phase, and why they are in it.", labels=["phase", "reason"]
        )
        for (phase, reason), count in Tally((item.phase.value, item.reason) for item in syncs.values()).items():
            by_phase.add_metric([phase, reason], count)
        yield by_phase
        waiting = GaugeMetricFamily(
            "roster_sync_waiting_seconds", "How long a sync has waited for a person.", labels=["namespace", "name"]
        )
        now = time.time()
        since = sorted(
            (item.waiting_since.timestamp(), key) for key, item in syncs.items() if item.waiting_since is not None
        )
        for moment, (namespace, name) in since[:MAX_WAITING]:
            waiting.add_metric([namespace, name], max(0.0, now - moment))
        yield waiting
