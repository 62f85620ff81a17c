"""Where a district's records come from: a OneRoster REST API, or OneRoster CSV by SFTP or upload."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from .model import Model

Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Key = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
Url = Annotated[str, Field(min_length=8, max_length=2048, pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]
TokenUrl = Annotated[
    str, Field(min_length=8, max_length=2048, pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?(\?[^\s#]*)?$")
]
# A Secret of this length stays below the limit for one environment variable of a process (128 kB) with room to spare.
CaBundle = Annotated[str, Field(min_length=1, max_length=32768)]
_ParameterValue = Annotated[str, Field(max_length=512, pattern=r"^[^\x00-\x1f\x7f]*$")]


CLIENT_ID, CLIENT_SECRET, TOKEN = "client-id", "client-secret", "token"
EXPIRES = "expires"  # optional in either Secret: the day from which its credentials hold no more
USERNAME, PASSWORD, PRIVATE_KEY, PASSPHRASE = "username", "password", "private-key", "passphrase"


@dataclass(frozen=True)
class SecretUse:
    """A Secret, and the keys of it that a source may want: what the pod's file is called, and what the key is."""

    name: str
    keys: dict[str, str]


class Provider(StrEnum):
    """The vendor profile: data, every value of which can be overridden."""

    CLASSLINK = "ClassLink"
    INFINITE_CAMPUS = "InfiniteCampus"
    SKYWARD_SMS = "SkywardSMS"
    SYNERGY = "Synergy"
    GENERIC = "Generic"


class Version(StrEnum):
    """The OneRoster version to speak. Auto asks the server."""

    AUTO = "Auto"
    V1_1 = "1.1"
    V1_2 = "1.2"


class AuthType(StrEnum):
    """How the source tells who we are."""

    OAUTH2 = "OAuth2"
    OAUTH1 = "OAuth1"
    BEARER = "Bearer"


class TokenStyle(StrEnum):
    """Where client id, client secret and the form of a token request go."""

    AUTO = "Auto"
    BASIC = "Basic"
    BODY = "Body"
    QUERY = "Query"


class SignatureMethod(StrEnum):
    """How OAuth 1 requests are signed."""

    HMAC_SHA256 = "HMAC-SHA256"
    HMAC_SHA1 = "HMAC-SHA1"


class CredentialsRef(Model):
    """A Secret in the connection's namespace, and the keys in it."""

    name: Name = Field(description="Name of the Secret, in the same namespace.")
    client_id_key: Key = Field(default="client-id", alias="clientIDKey", description="Key of the client id.")
    client_secret_key: Key = Field(default="client-secret", description="Key of the client secret.")
    token_key: Key = Field(default="token", description="Key of the static token of auth type Bearer.")


class Auth(Model):
    """How to authenticate. What is left out is the vendor profile's."""

    type: AuthType | None = Field(
        default=None,
        description="OAuth2: client credentials. OAuth1: signed requests. Bearer: a static token. "
        "Default: the vendor profile's; OAuth2 for Generic.",
    )
    token_url: TokenUrl | None = Field(
        default=None,
        alias="tokenURL",
        description="OAuth2: where tokens are had. https, unless api.allowInsecure. May have a query.",
    )
    token_style: TokenStyle | None = Field(
        default=None,
        description="OAuth2: how the token request carries the credentials. Auto: HTTP Basic, then the body.",
    )
    signature_method: SignatureMethod | None = Field(
        default=None, description="OAuth1: how requests are signed. Default: the vendor profile's; HMAC-SHA256."
    )
    scopes: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=256, pattern=r"^\S+$")]], Field(max_length=16)
    ] = Field(default_factory=list, description="OAuth2: scopes to ask for. Empty: the profile's, else the standard's.")
    secret_ref: CredentialsRef = Field(
        description="The Secret that holds the credentials. A key expires in it (2027-06-30) has an alert fire in time."
    )

    def secret(self) -> SecretUse:
        """Only the keys that this kind of authentication needs. No profile has Bearer as its default."""
        ref = self.secret_ref
        if self.type is AuthType.BEARER:
            return SecretUse(ref.name, {TOKEN: ref.token_key, EXPIRES: EXPIRES})
        return SecretUse(
            ref.name, {CLIENT_ID: ref.client_id_key, CLIENT_SECRET: ref.client_secret_key, EXPIRES: EXPIRES}
        )


class ApiSource(Model):
    """A OneRoster REST API. What is left out is the vendor profile's."""

    provider: Provider = Field(default=Provider.GENERIC, description="Vendor profile. Generic: everything is explicit.")
    endpoint: Url = Field(
        description="The server's root, or the OneRoster base path itself. https, unless allowInsecure.",
    )
    base_path: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^/[^\s?#]*$")] | None = Field(
        default=None,
        description="Path from the endpoint to the OneRoster collections, where it is neither the standard's nor the "
        "profile's. Needs version.",
    )
    version: Version = Field(default=Version.AUTO, description="OneRoster version. Auto asks the server.")
    auth: Auth = Field(description="How to authenticate.")
    parameters: Annotated[dict[str, _ParameterValue], Field(max_length=16)] = Field(
        default_factory=dict,
        description="Values that the vendor profile asks for, such as appName of Infinite Campus or applicationID of "
        "ClassLink's proxy. Never a secret.",
    )
    query: Annotated[dict[str, _ParameterValue], Field(max_length=16)] = Field(
        default_factory=dict, description="Query parameters that every request for records carries. Never a secret."
    )
    keep_cookies: bool | None = Field(
        default=None, description="Send cookies of the token answer on later calls. Default: the profile's."
    )
    page_size: Annotated[int, Field(ge=1, le=10000)] | None = Field(
        default=None, description="Records asked for in one page. Default: the profile's; 1000."
    )
    max_concurrency: Annotated[int, Field(ge=1, le=8)] | None = Field(
        default=None, description="Requests under way at the same time. Default: the profile's; 1."
    )
    requests_per_second: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Upper limit of requests a second. Default: the profile's; no limit of our own."
    )
    ca_bundle: CaBundle | None = Field(
        default=None, description="PEM certificates that are trusted in addition to the system's, for this source only."
    )
    allow_insecure: bool = Field(
        default=False, description="Permit http. Works only where the operator's configuration permits it too."
    )


class SftpCredentialsRef(Model):
    """A Secret in the connection's namespace: a user name, and a password or a private key."""

    name: Name = Field(description="Name of the Secret, in the same namespace.")
    username_key: Key = Field(default="username", description="Key of the user name.")
    password_key: Key = Field(default="password", description="Key of the password, where one is used.")
    private_key_key: Key = Field(default="private-key", description="Key of the private key, where one is used.")
    passphrase_key: Key = Field(default="passphrase", description="Key of the private key's passphrase, if it has one.")

    def secret(self) -> SecretUse:
        """All four keys; which of them are there decides how to log in."""
        return SecretUse(
            self.name,
            {
                USERNAME: self.username_key,
                PASSWORD: self.password_key,
                PRIVATE_KEY: self.private_key_key,
                PASSPHRASE: self.passphrase_key,
                EXPIRES: EXPIRES,
            },
        )


class Sftp(Model):
    """OneRoster CSV zips on an SFTP server."""

    host: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9_.:\-]+$")] = Field(
        description="Host name or address."
    )
    port: Annotated[int, Field(ge=1, le=65535)] = Field(default=22, description="Port.")
    path: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$")] = Field(
        description="A zip, or a folder in which the newest complete zip is taken."
    )
    host_keys: Annotated[
        list[Annotated[str, Field(min_length=16, max_length=2048, pattern=r"^[a-z0-9@.\-]+ [A-Za-z0-9+/=]+( .*)?$")]],
        Field(min_length=1, max_length=8),
    ] = Field(description="The server's public keys, as `ssh-keyscan` prints them without the host. Required.")
    secret_ref: SftpCredentialsRef = Field(description="The Secret that holds the credentials.")


class Upload(Model):
    """OneRoster CSV zips sent in by people, and named by each RosterSync."""


class CsvSource(Model):
    """OneRoster CSV. Exactly one of sftp and upload is given."""

    sftp: Sftp | None = Field(default=None, description="Zips on an SFTP server.")
    upload: Upload | None = Field(default=None, description="Zips that were uploaded, named by each RosterSync.")
