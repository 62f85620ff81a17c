"""What can go wrong between the console and the identity provider. Nothing that the provider said is repeated."""

from __future__ import annotations

from typing import Any

from .problems import Problem

_AGAIN = "Sign in again."
_TELL = "Try again in a minute; if it stays so, tell the platform team."


def unavailable() -> Problem:
    """No answer, or one that says: later."""
    return Problem(503, "IdentityProviderUnavailable", "The identity provider does not answer now.", _TELL)


def untrusted() -> Problem:
    """TLS failed."""
    return Problem(
        502,
        "IdentityProviderUntrusted",
        "The certificate of the identity provider is not one that the console trusts.",
        "Tell the platform team: the console's setting for the provider's authority is to be checked.",
    )


def strange() -> Problem:
    """An answer that makes no sense."""
    return Problem(
        502, "IdentityProviderAnswerUnusable", "The identity provider gave an answer that cannot be used.", _TELL
    )


def state_wrong() -> Problem:
    """It did not begin in this browser, or has been used, or took too long."""
    return Problem(
        400,
        "SignInNotBegunHere",
        "This sign-in was not begun in this browser, was used already, or took longer than ten minutes.",
        _AGAIN,
    )


def other_issuer() -> Problem:
    """The answer names another provider, or none where this one always does (RFC 9207)."""
    return Problem(
        400,
        "SignInMixedUp",
        "The answer came from another identity provider than the one that was asked.",
        _AGAIN,
    )


def from_authorization(error: str) -> Problem:
    """The provider sent the person back with an error code. Only known codes are told apart."""
    if error == "access_denied":
        return Problem(
            403,
            "SignInRefused",
            "The identity provider did not let you in, or you did not agree.",
            "Sign in again, or ask whoever runs the identity provider for access to this console.",
        )
    if error in ("temporarily_unavailable", "server_error"):
        return unavailable()
    return client_wrong()


def from_token_endpoint(error: Any) -> Problem:
    """A code or a refresh token was not taken."""
    if error == "invalid_grant":
        return grant_refused()
    return client_wrong()


def grant_refused() -> Problem:
    """Used already, or ended."""
    return Problem(
        401,
        "SignInEnded",
        "The identity provider does not accept this sign-in any more: it was used already, or it has ended.",
        _AGAIN,
    )


def client_wrong() -> Problem:
    """The console is not known there as it should be."""
    return Problem(
        502,
        "IdentityClientRefused",
        "The identity provider does not accept this console.",
        "Tell the platform team: client id, client secret, scopes and callback address are to be checked.",
    )


def token_missing() -> Problem:
    """No id token."""
    return Problem(
        502,
        "IdentityTokenMissing",
        "The identity provider gave no id token.",
        "Tell the platform team: the client needs the scope openid.",
    )


def token_invalid() -> Problem:
    """Signature, issuer, audience or nonce is wrong."""
    return Problem(
        502,
        "IdentityTokenInvalid",
        "The identity provider's token is not one for this console: its signature, issuer, audience or nonce is wrong.",
        "Sign in again; if it stays so, tell the platform team.",
    )


def token_expired() -> Problem:
    """It had ended when it came."""
    return Problem(
        502,
        "IdentityTokenExpired",
        "The identity provider's token had expired when it came.",
        "Sign in again; if it stays so, tell the platform team that the clocks differ.",
    )


def token_early() -> Problem:
    """By our clock it will be good later."""
    return Problem(
        502,
        "IdentityTokenNotYetGood",
        "The identity provider's token is not good yet: its clock is ahead of the console's.",
        "Sign in again in a minute; if it stays so, tell the platform team that the clocks differ.",
    )


def cluster_refuses() -> Problem:
    """The provider signed the person in, and the API server does not take the token."""
    return Problem(
        401,
        "ClusterRefusesIdentity",
        "The identity provider signed you in, and the cluster does not accept its token.",
        "Tell the platform team: the API server has to trust the same issuer and client id as the console, and may ask "
        "for more, such as a verified e-mail address.",
    )


def token_login_off() -> Problem:
    """Only the identity provider signs people in."""
    return Problem(403, "TokenLoginOff", "This console takes no pasted tokens.", "Sign in with the identity provider.")
