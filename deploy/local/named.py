"""A cluster of the person's own, which they named. It is only read from: nothing is started, and nothing is ended."""

from __future__ import annotations

import os
from pathlib import Path

from deploy.local import clients, kubeconfigs, places
from deploy.local.errors import LocalClusterError
from deploy.local.progress import run


def up(kubeconfig: Path | None, context: str | None) -> None:
    """Copy the way to that cluster, and to no other, into `.local/kubeconfig`."""
    clients.offer()
    command: list[str | Path] = [places.BIN / "kubectl", "config", "view", "--minify", "--flatten", "--raw"]
    if kubeconfig:
        if not kubeconfig.is_file():
            raise LocalClusterError(f"There is no kubeconfig file {kubeconfig}.")
        command += ["--kubeconfig", kubeconfig]
    if context:
        command += ["--context", context]
    kubeconfigs.write(places.KUBECONFIG, run(command, env=os.environ))
    if not clients.api_answers():
        places.KUBECONFIG.unlink()
        raise LocalClusterError("The API server of the cluster that you named does not answer, or refuses you.")
