"""RosterConnection: one district's OneRoster source, and how to reach it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from .limits import Limits
from .model import Model, Observed

Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Key = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
Duration = Annotated[str, Field(min_length=2, max_length=16, pattern=r"^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$")]
Url = Annotated[str, Field(min_length=8, max_length=2048, pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]
# A Secret of this length stays below the limit for one environment variable of a process (128 kB) with room to spare.
CaBundle = Annotated[str, Field(min_length=1, max_length=32768)]


class Provider(StrEnum):
    """The vendor profile. Profiles are data; so far there is the one where everything is explicit."""

    GENERIC = "Generic"


class Version(StrEnum):
    """The OneRoster version to speak. Auto asks the server."""

    AUTO = "Auto"
    V1_1 = "1.1"
    V1_2 = "1.2"


class AuthType(StrEnum):
    """How the source tells who we are."""

    OAUTH2 = "OAuth2"


class CredentialsRef(Model):
    """A Secret in the connection's namespace, and the keys in it."""

    name: Name = Field(description="Name of the Secret, in the same namespace.")
    client_id_key: Key = Field(default="client-id", alias="clientIDKey", description="Key of the client id.")
    client_secret_key: Key = Field(default="client-secret", description="Key of the client secret.")


class Auth(Model):
    """OAuth 2 client credentials."""

    type: AuthType = Field(default=AuthType.OAUTH2, description="OAuth2: client credentials grant.")
    token_url: Url = Field(alias="tokenURL", description="Where tokens are had. https, unless api.allowInsecure.")
    scopes: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=256, pattern=r"^\S+$")]], Field(max_length=16)
    ] = Field(default_factory=list, description="Scopes to ask for. Empty: the standard's read-only roster scopes.")
    secret_ref: CredentialsRef = Field(description="The Secret that holds client id and client secret.")


class ApiSource(Model):
    """A OneRoster REST API."""

    provider: Provider = Field(default=Provider.GENERIC, description="Vendor profile. Generic: everything is explicit.")
    endpoint: Url = Field(
        description="The server's root, or the OneRoster base path itself. https, unless allowInsecure.",
    )
    version: Version = Field(default=Version.AUTO, description="OneRoster version. Auto asks the server.")
    auth: Auth = Field(description="How to authenticate.")
    page_size: Annotated[int, Field(ge=1, le=10000)] = Field(default=1000, description="Records asked for in one page.")
    max_concurrency: Annotated[int, Field(ge=1, le=8)] = Field(
        default=1, description="Requests under way at the same time."
    )
    requests_per_second: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Upper limit of requests a second. Unset: no limit of our own."
    )
    ca_bundle: CaBundle | None = Field(
        default=None, description="PEM certificates that are trusted in addition to the system's, for this source only."
    )
    allow_insecure: bool = Field(
        default=False, description="Permit http. Works only where the operator's configuration permits it too."
    )


class DatabaseRef(Model):
    """The Secret with the two database logins stage-url and merge-url, as `roster tenant create` prints it."""

    name: Name = Field(description="Name of the Secret, in the same namespace.")


class RosterConnectionSpec(Model):
    """What a person declares about a district's source. Exactly one source is given."""

    tenant: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")] | None = (
        Field(
            default=None,
            description="Key of this district's rows in the database. Immutable. Default: <namespace>.<name>.",
        )
    )
    api: ApiSource | None = Field(default=None, description="A OneRoster REST API.")
    database_secret_ref: DatabaseRef | None = Field(
        default=None, description="The Secret with stage-url and merge-url. Default: from the operator's configuration."
    )
    test_interval: Duration = Field(
        default="24h", description="How often the connection is tested. A good stage counts as a test."
    )
    limits: Limits = Field(default_factory=Limits, description="How much a sync may change before it is held.")

    def tenant_of(self, namespace: str, name: str) -> str:
        """The tenant key: as given, else <namespace>.<name>."""
        return self.tenant or f"{namespace}.{name}"


class Condition(Observed):
    """A Kubernetes condition (metav1.Condition)."""

    type: Annotated[str, Field(max_length=64)]
    status: Annotated[str, Field(max_length=7, pattern=r"^(True|False|Unknown)$")]
    reason: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    # Printable ASCII: part of it came from outside, and it is printed on terminals.
    message: Annotated[str, Field(max_length=1024, pattern=r"^[ -~]*$")] = ""
    last_transition_time: datetime
    observed_generation: int | None = None


class PendingPlan(Observed):
    """The plan that waits for a person."""

    sync: Annotated[str, Field(max_length=253)]
    digest: Annotated[str, Field(max_length=80)]
    short_digest: Annotated[str, Field(max_length=16)] = Field(
        default="", description="The digest's beginning, for tables."
    )
    summary: Annotated[str, Field(max_length=256)] = ""


class RosterConnectionStatus(Observed):
    """What the operator saw. Counts, never a name."""

    observed_generation: int | None = None
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list[Condition])
    version: Annotated[str, Field(max_length=16)] | None = None
    tenant: Annotated[str, Field(max_length=128)] | None = None
    counts: Annotated[dict[str, int], Field(max_length=16)] = Field(
        default_factory=dict[str, int], description="Records per entity that the source announced at the last test."
    )
    server_max_page_size: int | None = None
    certificate_expires: datetime | None = None
    last_test_time: datetime | None = None
    last_handled_test_request: Annotated[str, Field(max_length=64)] | None = None
    next_test_time: datetime | None = None
    test_job: Annotated[str, Field(max_length=63)] | None = None
    pending_plan: PendingPlan | None = None
    last_sync: Annotated[str, Field(max_length=253)] | None = None
    last_merged_time: datetime | None = None
