"""The base of every model in this room: camelCase outside, snake_case inside, nothing unknown let in."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "roster-operator.io"
API_VERSION = "v1alpha1"

DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"
Digest = Annotated[str, Field(max_length=71, pattern=DIGEST_PATTERN)]
Duration = Annotated[str, Field(min_length=2, max_length=16, pattern=r"^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$")]


class Model(BaseModel):
    """A value of the API. Unknown fields are an error, so that a misspelt field is never silently ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")

    def to_dict(self) -> dict[str, Any]:
        """The value as it stands in YAML: camelCase names, JSON types, unset optional fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Parse what `to_dict` gave, or what a person wrote. Raises pydantic.ValidationError."""
        return cls.model_validate(data)


class Observed(Model):
    """What this program wrote into a status and reads back. A field that a newer version wrote is passed over."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")
