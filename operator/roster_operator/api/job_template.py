"""What a Job's pod may ask for: resources, and where it may run. Never what runs, nor with which rights."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field

from .model import Model

Quantity = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]
_Value = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
_Name = Annotated[
    str,
    Field(min_length=1, max_length=317, pattern=r"^([a-z0-9][-a-z0-9.]*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"),
]
OURS = ("roster-operator.io/", "app.kubernetes.io/", "batch.kubernetes.io/", "kubernetes.io/")


class Amounts(Model):
    """Amounts of each resource. What is left out is the operator's."""

    cpu: Quantity | None = Field(default=None, description="100m, 1.5")
    memory: Quantity | None = Field(default=None, description="256Mi, 1Gi")
    ephemeral_storage: Quantity | None = Field(default=None, description="1Gi")

    def over(self, base: dict[str, str]) -> dict[str, str]:
        """These, and of the others the base's; as a container has them."""
        own = {"cpu": self.cpu, "memory": self.memory, "ephemeral-storage": self.ephemeral_storage}
        return base | {name: amount for name, amount in own.items() if amount is not None}


class Resources(Model):
    """What the container asks for, and may have at most."""

    requests: Amounts = Field(default_factory=Amounts, description="Reserved for it.")
    limits: Amounts = Field(default_factory=Amounts, description="The most that it gets.")


class TolerationOperator(StrEnum):
    """How a taint is met."""

    EQUAL = "Equal"
    EXISTS = "Exists"


class Effect(StrEnum):
    """Of a taint."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(Model):
    """A taint of nodes that the pod puts up with."""

    key: _Name = Field(description="Key of the taint.")
    operator: TolerationOperator = Field(default=TolerationOperator.EQUAL, description="Exists asks for no value.")
    value: _Value | None = Field(default=None, description="Value of the taint.")
    effect: Effect | None = Field(default=None, description="Default: every effect.")


class JobTemplate(Model):
    """What is added to each Job of a connection and of its syncs. The operator's own labels stand above these."""

    resources: Resources = Field(default_factory=Resources, description="Of the one container.")
    node_selector: Annotated[dict[str, _Value], Field(max_length=16)] = Field(
        default_factory=dict, description="Labels that a node must have."
    )
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = Field(
        default_factory=list[Toleration], description="Taints of nodes that the pod puts up with."
    )
    labels: Annotated[dict[str, _Value], Field(max_length=16)] = Field(
        default_factory=dict,
        description="Of the Job and its pod: cost centres, or kueue.x-k8s.io/queue-name to queue the Job.",
    )

    def over(self, base: JobTemplate) -> Self:
        """These, and of what they leave out the base's; tolerations of both."""
        own, other = self.resources, base.resources
        amounts = {
            "requests": other.requests.model_dump(exclude_none=True) | own.requests.model_dump(exclude_none=True),
            "limits": other.limits.model_dump(exclude_none=True) | own.limits.model_dump(exclude_none=True),
        }
        return self.model_copy(
            update={
                "resources": Resources.model_validate(amounts),
                "node_selector": base.node_selector | self.node_selector,
                "tolerations": [*base.tolerations, *self.tolerations],
                "labels": base.labels | self.labels,
            }
        )

    @property
    def own_labels(self) -> dict[str, str]:
        """The labels without those by which Kubernetes and the operator know a Job."""
        return {name: value for name, value in self.labels.items() if not name.startswith(OURS)}
