"""Vendor profiles: data that is read, and a connection's own values over it."""

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.sources import ApiSource, Provider
from roster_operator.api.task import Policy
from roster_operator.oneroster import profile as module
from roster_operator.oneroster.bases import candidates
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.profile import Profile, Wishes, profiles, settings_of
from roster_operator.oneroster.rest import RestSource
from roster_operator.oneroster.settings import RestSettings
from roster_operator.worker.failures import WorkerError
from roster_operator.worker.inputs import ManifestSecret
from roster_operator.worker.sources import rest_settings

HOST = "https://sis.example.org"


def made(name: str, **wishes: Any) -> RestSettings:
    return settings_of(name, Wishes(**({"endpoint": HOST} | wishes)))


def refused(name: str, **wishes: Any) -> OneRosterError:
    with pytest.raises(OneRosterError) as caught:
        made(name, **wishes)
    assert caught.value.reason is Reason.SETTINGS_INVALID
    assert caught.value.next_step
    return caught.value


def bases(settings: RestSettings) -> list[tuple[str, str]]:
    return [(version, base.removeprefix(HOST)) for version, base in candidates(settings, settings.endpoint)]


def test_there_is_a_profile_for_each_provider_and_no_other() -> None:
    assert set(profiles()) == {provider.value for provider in Provider}


@pytest.mark.parametrize("name", [provider.value for provider in Provider])
def test_a_profile_is_whole(name: str) -> None:
    profile = profiles()[name]
    assert profile.default_auth in profile.auth
    assert not set(profile.auth) & set(profile.refused)
    assert set(profile.auth) | set(profile.refused) == {"OAuth2", "OAuth1", "Bearer"}
    # The pod mounts the keys of the default before any profile is read.
    assert profile.default_auth != "Bearer"
    templates = [*profile.base_paths.values()]
    known = set(profile.parameters)
    for way in profile.auth.values():
        templates += [way.token_url, *way.base_paths.values()]
        known |= set(way.parameters)
    used = {found for template in templates for found in re.findall(r"\{(\w+)\}", template)} - {"origin", "root"}
    assert used == known
    assert all(text.endswith(".") for text in [*profile.hints.values(), *profile.refused.values()])


@pytest.mark.parametrize("fault", ['name = "X"', 'colour = "red"', "[auth.OAuth3]", '[hints]\nNoReason = "x"'])
def test_a_profile_with_a_fault_is_no_profile(fault: str) -> None:
    text = Path(module.__file__).with_name("profiles").joinpath("generic.toml").read_text()
    broken = f"{fault}\n{text}" if "[" not in fault else f"{text}\n{fault}\n"
    with pytest.raises((msgspec.ValidationError, tomllib.TOMLDecodeError)):
        msgspec.convert(tomllib.loads(broken), Profile)


def test_classlink_signs_to_the_districts_server_by_default() -> None:
    settings = made("ClassLink")
    assert (settings.auth, settings.signature_method, settings.token_url) == ("OAuth1", "HMAC-SHA256", "")
    assert bases(settings)[0] == ("1.1", "/ims/oneroster/v1p1")


@pytest.mark.parametrize("given", ["MoYPlyQWmG0%3D", "MoYPlyQWmG0=", " MoYPlyQWmG0= "])
def test_classlinks_proxy_takes_an_application_id_as_it_is_shown(given: str) -> None:
    settings = made("ClassLink", auth="Bearer", parameters={"applicationID": given})
    assert bases(settings)[0] == ("1.1", "/MoYPlyQWmG0%3D/ims/oneroster/v1p1")


def test_a_parameter_that_is_missing_is_told_with_where_it_is_found() -> None:
    error = refused("ClassLink", auth="Bearer")
    assert "applicationID" in error.message
    assert "developer console" in error.next_step
    assert "appName" in refused("InfiniteCampus").message


def test_a_parameter_that_is_unknown_is_told_with_those_that_are() -> None:
    error = refused("InfiniteCampus", parameters={"appname": "x"})
    assert "appname" in error.message
    assert "appName" in error.next_step
    assert "none" in refused("ClassLink", parameters={"applicationID": "x"}).next_step
    assert "\x1b" not in refused("Generic", token_url=HOST, parameters={"\x1b[31m": "x"}).message


@pytest.mark.parametrize(
    "endpoint",
    [HOST, HOST + "/", HOST + "/campus", HOST + "/campus/api/", HOST + "/campus/api/ims/oneroster/rostering/v1p2"],
)
def test_infinite_campus_needs_no_more_than_the_host_and_the_applications_name(endpoint: str) -> None:
    settings = made("InfiniteCampus", endpoint=endpoint, parameters={"appName": "our app"})
    assert settings.token_url == f"{HOST}/campus/oauth2/token?appName=our%20app"
    assert (settings.token_style, settings.page_size) == ("Query", 5000)
    assert bases(settings)[0] == ("1.2", "/campus/api/ims/oneroster/rostering/v1p2")


def test_a_base_address_that_is_given_whole_is_taken_as_it_is() -> None:
    own = HOST + "/campus/api/oneroster/v1p2/ours/ims/oneroster/rostering/v1p2"
    settings = made("InfiniteCampus", endpoint=own, parameters={"appName": "ours"})
    assert bases(settings) == [("1.2", own.removeprefix(HOST))]
    assert settings.token_url.startswith(f"{HOST}/campus/oauth2/token")


def test_ways_that_a_vendor_has_not_are_refused_with_a_sentence() -> None:
    assert "2023-06-30" in refused("InfiniteCampus", auth="OAuth1", parameters={"appName": "x"}).message
    assert "OAuth1" in refused("ClassLink", auth="OAuth2").next_step
    assert refused("Synergy", auth="Bearer").message
    assert refused("SkywardSMS", auth="OAuth1").message


def test_synergy_and_skyward_want_their_token_url() -> None:
    assert "server URL" in refused("Synergy").next_step
    assert "API Configuration" in refused("SkywardSMS").next_step
    settings = made("Synergy", token_url=HOST + "/token")
    assert (settings.token_style, settings.keep_cookies) == ("Body", True)
    assert bases(made("SkywardSMS", endpoint=HOST + "/API", token_url=HOST + "/t")) == [
        ("1.1", "/API/ims/oneroster/v1p1")
    ]


def test_a_version_that_a_vendor_is_not_known_for_is_tried_where_it_is_asked_for() -> None:
    assert bases(made("SkywardSMS", token_url=HOST, version="1.2")) == [("1.2", "/ims/oneroster/rostering/v1p2")]


def test_an_unknown_vendor_is_refused() -> None:
    assert "Synergy" in refused("PowerSomething").next_step


def test_a_base_path_of_ones_own_needs_a_version() -> None:
    refused("Generic", token_url=HOST, base_path="/own")
    assert bases(made("Generic", token_url=HOST, base_path="/own/", version="1.1")) == [("1.1", "/own")]


OVERRIDES: dict[str, Any] = {
    "token_url": HOST + "/other?x=y",
    "token_style": "Basic",
    "keep_cookies": False,
    "scopes": ("one", "two"),
    "query": {"schoolYear": "2027"},
    "page_size": 7,
    "max_concurrency": 3,
    "requests_per_second": 2,
    "signature_method": "HMAC-SHA1",
}


@pytest.mark.parametrize("name", [provider.value for provider in Provider])
def test_every_value_of_a_profile_can_be_overridden(name: str) -> None:
    auth = profiles()[name].default_auth
    settings = made(name, base_path="/own", version="1.1", **OVERRIDES)
    expected = OVERRIDES | ({"token_url": ""} if auth == "OAuth1" else {})
    assert {each: getattr(settings, each) for each in expected} == expected
    assert bases(settings) == [("1.1", "/own")]


# From the resource to the settings.


class Held:
    """A Secret of which every key can be had, and that remembers which were."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def need(self, name: str) -> str:
        self.asked.append(name)
        return f"value-of-{name}"

    def maybe(self, name: str) -> str | None:
        return self.need(name)


def from_spec(spec: dict[str, Any], secret: Held, **policy: Any) -> RestSettings:
    base = {"endpoint": HOST, "auth": {"secretRef": {"name": "sis"}}}
    return rest_settings(ApiSource.model_validate(base | spec), secret, Policy(**policy))


def test_each_setting_of_the_spec_reaches_the_source() -> None:
    spec = {
        "provider": "Synergy",
        "version": "1.1",
        "basePath": "/own",
        "auth": {"type": "OAuth2", "tokenURL": HOST + "/t?a=b", "tokenStyle": "Query", "scopes": ["s"],
                 "signatureMethod": "HMAC-SHA1", "secretRef": {"name": "sis"}},
        "query": {"a": "b c"},
        "keepCookies": False,
        "pageSize": 9,
        "maxConcurrency": 2,
        "requestsPerSecond": 3,
        "caBundle": "pem",
    }  # fmt: skip
    got = dataclasses.asdict(from_spec(spec, Held(), allow_addresses=["10.0.0.0/8"]))
    expected = {
        "version": "1.1", "base_paths": (("1.1", "/own"),), "auth": "OAuth2", "token_url": HOST + "/t?a=b",
        "token_style": "Query", "scopes": ("s",), "signature_method": "HMAC-SHA1", "query": {"a": "b c"},
        "keep_cookies": False, "page_size": 9, "max_concurrency": 2, "requests_per_second": 3, "ca_bundle": "pem",
        "client_id": "value-of-client-id", "client_secret": "value-of-client-secret", "token": "",
    }  # fmt: skip
    assert {name: got[name] for name in expected} == expected
    assert str(got["allow_addresses"][0]) == "10.0.0.0/8"


def test_of_a_secret_only_what_the_way_needs_is_read() -> None:
    secret = Held()
    auth = {"type": "Bearer", "secretRef": {"name": "sis"}}
    settings = from_spec({"provider": "ClassLink", "auth": auth, "parameters": {"applicationID": "x"}}, secret)
    assert (settings.token, settings.client_id, secret.asked) == ("value-of-token", "", ["token"])


def test_http_needs_the_operators_permission() -> None:
    with pytest.raises(WorkerError):
        from_spec({"allowInsecure": True}, Held())


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "\u00e9"])
def test_a_static_token_that_cannot_be_sent_is_refused_at_once(token: str) -> None:
    with pytest.raises(OneRosterError) as caught:
        RestSource(RestSettings(endpoint=HOST, auth="Bearer", token=token))
    assert caught.value.reason is Reason.SETTINGS_INVALID


# The pages for administrators.

PAGES = sorted((Path(__file__).parents[2] / "docs/how-to").glob("connect-*.md"))


def connections() -> list[tuple[str, dict[str, Any], dict[str, str]]]:
    """Each connection of the pages, and the Secret beside it."""
    found: list[tuple[str, dict[str, Any], dict[str, str]]] = []
    for page in PAGES:
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
            secret, connection = yaml.safe_load_all(block)
            found.append((page.stem, connection["spec"], secret["stringData"]))
    return found


def test_every_provider_has_a_page_for_administrators() -> None:
    assert {spec["api"]["provider"] for _, spec, _ in connections()} == {provider.value for provider in Provider}


@pytest.mark.parametrize(("page", "spec", "values"), connections())
def test_what_the_pages_show_works(page: str, spec: dict[str, Any], values: dict[str, str]) -> None:
    source = RosterConnectionSpec.model_validate(spec).api
    assert source is not None
    settings = rest_settings(source, ManifestSecret(dict.fromkeys(values, "value"), source.auth.secret()), Policy())
    RestSource(settings)
