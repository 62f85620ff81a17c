"""From the connect form to the two objects: pure, so that what is printed is what would be written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.kinds import CONNECTION, SECRET
from roster_operator.api.sources import CLIENT_ID, CLIENT_SECRET, TOKEN

from . import problems, standard
from .inputs import NAME_PATTERN, NAMESPACE_PATTERN

UPLOAD = "Upload"  # no vendor: bundles that people send in
PARAMETER = "parameter-"  # what the fields of a profile's own parameters begin with
_NAME = re.compile(NAME_PATTERN.removesuffix("$"))
_NAMESPACE = re.compile(NAMESPACE_PATTERN.removesuffix("$"))


@dataclass(frozen=True)
class Manifests:
    """What connects a district. secret: name → values; never printed with them."""

    namespace: str
    name: str
    spec: dict[str, Any]
    secret: dict[str, str]

    def __repr__(self) -> str:
        return f"Manifests({self.namespace}/{self.name})"

    @property
    def secret_name(self) -> str:
        """The Secret's name."""
        return f"{self.name}-sis"

    @property
    def connection(self) -> dict[str, Any]:
        """The RosterConnection without kind."""
        return {"metadata": {"name": self.name, "namespace": self.namespace}, "spec": self.spec}

    def to_yaml(self) -> str:
        """Both, to be applied by somebody who fills in the Secret."""
        documents: list[dict[str, Any]] = []
        if self.secret:
            metadata = {"name": self.secret_name, "namespace": self.namespace}
            documents.append(
                {"apiVersion": SECRET.api_version, "kind": SECRET.kind, "metadata": metadata,
                 "stringData": dict.fromkeys(self.secret, "fill in")}
            )  # fmt: skip
        documents.append({"apiVersion": CONNECTION.api_version, "kind": CONNECTION.kind, **self.connection})
        return yaml.safe_dump_all(documents, sort_keys=False, width=120)


def manifests_of(form: dict[str, str], *, printed: bool) -> Manifests:
    """What the form asks for. printed: the Secret's values may be missing. Raises problems.Problem(NotValid)."""
    given = {key: text.strip() for key, text in form.items()}
    namespace, name = given.get("namespace", ""), given.get("name", "")
    if not _NAMESPACE.fullmatch(namespace) or not _NAME.fullmatch(name) or len(name) > 63:
        raise problems.not_valid("Namespace and name have small letters, digits and '-', 63 at most.")
    vendor = given.get("vendor", "")
    spec: dict[str, Any] = {"tenant": given["tenant"]} if given.get("tenant") else {}
    secret: dict[str, str] = {}
    if vendor == UPLOAD:
        spec["csv"] = {"upload": {}}
    else:
        spec["api"], secret = _api(vendor, given, f"{name}-sis", printed=printed)
    if given.get("database_secret"):
        spec["databaseSecretRef"] = {"name": given["database_secret"]}
    try:
        parsed = RosterConnectionSpec.from_dict(spec)
    except ValidationError as error:
        # Where it is wrong and how, never what was typed.
        wrong = {".".join(str(part) for part in each["loc"]) for each in error.errors(include_input=False)}
        raise problems.not_valid(f"These are not as they should be: {', '.join(sorted(wrong))[:300]}.") from None
    return Manifests(namespace, name, parsed.model_dump(mode="json", by_alias=True, exclude_unset=True), secret)


def _api(
    vendor: str, given: dict[str, str], secret_name: str, *, printed: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    profile = standard.vendors().get(vendor)
    if profile is None:
        raise problems.not_valid("Choose one of the vendors.")
    kind = given.get("auth") or profile.default_auth
    way = next((way for name, way in profile.auth.items() if name == kind), None)
    if way is None:
        raise problems.not_valid(f"{profile.title} does not take {kind if kind.isalnum() else 'this'}.")
    wanted = {**profile.parameters, **way.parameters}
    missing = [name for name in wanted if not given.get(PARAMETER + name)]
    if missing:
        raise problems.not_valid(f"{profile.title} needs {missing[0]}: take it from {wanted[missing[0]].where}.")
    auth: dict[str, Any] = {"type": kind, "secretRef": {"name": secret_name}}
    if kind == "OAuth2" and (given.get("token_url") or not way.token_url):
        if not given.get("token_url"):
            raise problems.not_valid(f"{profile.title} needs the address where tokens are had.")
        auth["tokenURL"] = given["token_url"]
    keys = (TOKEN,) if kind == "Bearer" else (CLIENT_ID, CLIENT_SECRET)
    secret = {key: given.get(key, "") for key in keys}
    if not printed and not all(secret.values()):
        raise problems.not_valid(f"Give {' and '.join(keys)}.")
    api: dict[str, Any] = {"provider": vendor, "endpoint": given.get("endpoint", ""), "auth": auth}
    if authority := given.get("ca_bundle"):
        api["caBundle"] = "\n".join(authority.splitlines()) + "\n"  # browsers send CRLF
    if wanted:
        api["parameters"] = {name: given[PARAMETER + name] for name in wanted}
    return api, secret
