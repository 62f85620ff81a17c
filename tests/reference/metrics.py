"""Every metric that an operator exports, from the registry of one that has not begun."""

from __future__ import annotations

from tests.reference.tables import table

from roster_operator.controller.metrics import Metrics
from roster_operator.controller.view import View

_HEAD = """# Metrics

What the operator's `/metrics` says. This page is made from its registry: `make generate` writes it again. Names that
begin with `controller_runtime`, `workqueue` and `rest_client` are controller-runtime's own, so that dashboards made for
other operators show this one, too. No label holds anything that a school's data said.

A counter's samples end in `_total`, a histogram's in `_bucket`, `_sum` and `_count`.

"""


def page() -> str:
    """docs/reference/metrics.md"""
    metrics = Metrics(View())
    rows: dict[str, tuple[str, str, str, str]] = {}
    # No public way leads to the labels of a metric that has no sample yet.
    for collector in metrics.registry._collector_to_names:  # pyright: ignore[reportPrivateUsage]
        for family in collector.collect():
            labels = getattr(family, "_labelnames", None) or getattr(collector, "_labelnames", ())
            named = ", ".join(f"`{label}`" for label in labels)
            rows[family.name] = (f"`{family.name}`", family.type, named, family.documentation)
    return _HEAD + table(("metric", "kind", "labels", "what it is"), [rows[name] for name in sorted(rows)])
