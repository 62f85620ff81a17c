"""The ways to authenticate, by name."""

from collections.abc import Callable, Mapping

from .bearer import Bearer
from .credential import Authorisation, Converse
from .oauth1 import OAuth1
from .settings import AuthType, RestSettings
from .tokens import Tokens

_WAYS: Mapping[AuthType, Callable[[RestSettings, Converse], Authorisation]] = {
    "OAuth2": Tokens,
    "OAuth1": lambda settings, _: OAuth1(settings),
    "Bearer": lambda settings, _: Bearer(settings),
}


def authorisation(settings: RestSettings, converse: Converse) -> Authorisation:
    """The one that the settings name. Raises SettingsInvalid for credentials that are missing or cannot be sent."""
    return _WAYS[settings.auth](settings, converse)
