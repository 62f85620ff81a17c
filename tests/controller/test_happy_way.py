from __future__ import annotations

import pytest

from tests.controller.conftest import Operator
from tests.support.jobs import DIGESTS, Cluster, discarded, merged, staged, until

pytestmark = pytest.mark.apiserver


def test_happy(cluster: Cluster, operator: Operator) -> None:
    cluster.connect()
    cluster.make_ready()
    cluster.sync()
    cluster.end(cluster.open_job("stage"), staged())
    cluster.wait_phase("AwaitingApproval")
    cluster.change(approved=True)
    cluster.end(cluster.open_job("merge"), merged())
    cluster.wait_phase("Merged")
    until(lambda: "finalizers" not in cluster.get("rostersyncs", "first")["metadata"], 10, "no finalizer")



    assert operator.stop() == 0
