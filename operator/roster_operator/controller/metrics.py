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

from roster_operator.api.sync import WAITING

from .silence import Silence
from .view import View

MAX_OBJECTS = 20_000  # lines of one metric that names objects
MAX_WAITING = 500
MAX_REASONS = 64
_MOMENTS = {
    "last_merge": "When a sync of the connection was merged last.",
    "next_sync": "When the next automatic sync is made; in the past where that one is late.",
    "certificate_expires": "When the first of the source's certificates ends.",
    "credentials_expire": "When the first of the connection's credentials ends, where anything says so.",
}


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
        self.silence = Silence()
        one.register(_ViewCollector(view))
        one.register(_SilenceCollector(self.silence))

    def count_failure(self, reason: str) -> None:
        """One more failed sync. Reasons come from workers; their number is kept bounded."""
        if reason not in self._reasons and len(self._reasons) >= MAX_REASONS:
            reason = "Other"
        self._reasons.add(reason)
        self.failed.labels(reason).inc()

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


class _SilenceCollector(Collector):
    """How long each watch has been silent, counted when it is asked for."""

    def __init__(self, silence: Silence) -> None:
        self._silence = silence

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        silent = GaugeMetricFamily(
            "roster_watch_silent_seconds",
            "How long a watch has said nothing since a full list showed something that it had to tell.",
            labels=["resource"],
        )
        for plural, seconds in self._silence.seconds().items():
            silent.add_metric([plural], seconds)
        yield silent


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
        moments = {
            what: GaugeMetricFamily(f"roster_connection_{what}_timestamp_seconds", text, labels=["namespace", "name"])
            for what, text in _MOMENTS.items()
        }
        rewound = GaugeMetricFamily(
            "roster_connection_database_rewound",
            "1 where the connection's database was found to hold less than it had, and nobody has decided since.",
            labels=["namespace", "name"],
        )
        for (namespace, name), item in list(connections.items())[:MAX_OBJECTS]:
            rewound.add_metric([namespace, name], 1.0 if item.rewound else 0.0)
            one.add_metric([namespace, name], 1.0 if item.ready == "True" else 0.0)
            found = (item.last_merged, item.next_sync, item.certificate_expires, item.credentials_expire)
            for family, moment in zip(moments.values(), found, strict=True):
                if moment is not None:
                    family.add_metric([namespace, name], moment.timestamp())
        yield one
        yield from moments.values()
        yield rewound

    def _syncs(self) -> Iterable[Metric]:
        syncs = self._view.syncs
        by_phase = GaugeMetricFamily(
            "roster_syncs", "Syncs by phase, and why they are in it.", labels=["phase", "reason"]
        )
        for (phase, reason), count in Tally((item.phase.value, item.reason) for item in syncs.values()).items():
            by_phase.add_metric([phase, reason], count)
        yield by_phase
        waiting = GaugeMetricFamily(
            "roster_sync_waiting_seconds",
            "How long a sync has waited for a person.",
            labels=["namespace", "name", "phase"],
        )
        now = time.time()
        for phase in sorted(WAITING):  # each has its own bound: what is blocked is not hidden behind what waits longer
            since = sorted(
                (item.waiting_since.timestamp(), key)
                for key, item in syncs.items()
                if item.phase is phase and item.waiting_since is not None
            )
            for moment, (namespace, name) in since[:MAX_WAITING]:
                waiting.add_metric([namespace, name, phase.value], max(0.0, now - moment))
        yield waiting
