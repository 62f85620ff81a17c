"""The resources that are read and written, as they stand in a path and in an object, and our marks on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from .model import API_VERSION, GROUP

APPROVED_BY = f"{GROUP}/approved-by"
SCHEDULED_AT = f"{GROUP}/scheduled-at"
TEST_REQUESTED_AT = f"{GROUP}/test-requested-at"
STAGED_FINALIZER = f"{GROUP}/staged"
PURGE_FINALIZER = f"{GROUP}/purge"
APPROVAL_NOTE = f"{GROUP}/approval-note"
NOTE_LENGTH = 512  # letters of it


def kept_in_git(annotations: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Argo CD or Flux keeps the object as it stands in Git: what is changed here is changed back."""
    return "argocd.argoproj.io/tracking-id" in annotations or any(
        "toolkit.fluxcd.io/" in label or label == "argocd.argoproj.io/instance" for label in labels
    )


@dataclass(frozen=True)
class Kind:
    """One resource."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """The object's apiVersion."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """The path's beginning."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str | None = None, name: str | None = None, sub: str | None = None) -> str:
        """The path of all objects, of one namespace's, of one, or of a part of it."""
        path = self.root
        if namespace:
            path += f"/namespaces/{quote(namespace, safe='')}"
        path += f"/{self.plural}"
        if name:
            path += f"/{quote(name, safe='')}"
        return f"{path}/{sub}" if sub else path


CONNECTION = Kind(GROUP, API_VERSION, "rosterconnections", "RosterConnection")
SYNC = Kind(GROUP, API_VERSION, "rostersyncs", "RosterSync")
JOB = Kind("batch", "v1", "jobs", "Job")
POD = Kind("", "v1", "pods", "Pod")
EVENT = Kind("", "v1", "events", "Event")
SERVICE = Kind("", "v1", "services", "Service")
SECRET = Kind("", "v1", "secrets", "Secret")
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease")
DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment")
DEFINITION = Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")
