"""What can go wrong for a person, as a reason, a sentence and a next step. Nothing the API server said is repeated."""

from __future__ import annotations

from roster_operator.api.model import Model


class ProblemBody(Model):
    """An error as the JSON API gives it."""

    reason: str
    message: str
    next: str


class Problem(Exception):  # noqa: N818  an outcome that is shown, not a defect
    """Ends a request. `status` is the HTTP status."""

    def __init__(self, status: int, reason: str, message: str, next_step: str) -> None:
        super().__init__(reason)
        self.status = status
        self.body = ProblemBody(reason=reason, message=message, next=next_step)


def not_signed_in() -> Problem:
    """No token came with the request."""
    return Problem(
        401,
        "NotSignedIn",
        "This needs a Kubernetes token.",
        "Sign in, or send the header 'Authorization: Bearer' with a token.",
    )


def token_rejected() -> Problem:
    """The API server knows nobody by this token."""
    return Problem(
        401,
        "TokenRejected",
        "The cluster does not accept this token: it has expired, was revoked, or belongs to another cluster.",
        "Get a new token, for example with 'kubectl create token', and sign in again.",
    )


def forbidden(verb: str, resource: str, namespace: str) -> Problem:
    """The person is known and may not."""
    return Problem(
        403,
        "Forbidden",
        f"You may not {verb} {resource} in the namespace {namespace}.",
        f"Ask the platform team for the right to {verb} {resource} there, or name another namespace.",
    )


def not_found(what: str) -> Problem:
    """The person may look, and there is nothing."""
    return Problem(404, "NotFound", f"{what} does not exist.", "Check the name; it may have been deleted.")


def not_installed() -> Problem:
    """The API server does not know the resources at all."""
    return Problem(
        404,
        "NotInstalled",
        "This cluster does not know RosterConnection and RosterSync.",
        "Ask the platform team to install roster-operator's resource definitions.",
    )


def conflict(what: str) -> Problem:
    """It exists already, or somebody was faster."""
    return Problem(409, "Conflict", f"{what} was changed meanwhile, or exists already.", "Look at it, then try again.")


def refused(what: str, why: str) -> Problem:
    """The API server does not take the values."""
    detail = f": {why}" if why else ""
    return Problem(422, "Refused", f"The cluster does not take this {what}{detail}.", "Correct the values.")


def plan_changed() -> Problem:
    """The digest that was posted is not the one that waits."""
    return Problem(
        409,
        "PlanChanged",
        "The plan is not the one that you looked at: another merge came between, or somebody has decided. "
        "Nothing was approved.",
        "Look at the plan as it is now, and decide again.",
    )


def not_waiting() -> Problem:
    """Nothing is to be decided any more."""
    return Problem(409, "NotWaiting", "This sync does not wait for a decision.", "Its page says how it stands.")


def not_merged() -> Problem:
    """There is nothing to take back."""
    return Problem(
        409, "NotMerged", "Nothing of this sync was merged, so there is nothing to undo.", "Undo a merged sync."
    )


def needs_right(verb: str, on: str, what: str) -> Problem:
    """A verb of ours that the person has not."""
    return Problem(
        403,
        "Forbidden",
        f"You may not {what} here.",
        f"Ask the platform team for the right to {verb} {on} in this namespace (docs/reference/permissions.md).",
    )


def no_database() -> Problem:
    """This console has been given no login."""
    return Problem(
        404,
        "NoDatabase",
        "This console is not connected to the database, so it shows counts and no records.",
        "Ask the platform team to give it a login: `roster console-login create`.",
    )


def invites_nobody() -> Problem:
    """No mail server, or no address of the application."""
    return Problem(
        404,
        "InvitationsOff",
        "This console sends no invitations. Nothing was changed.",
        "Activate the person, and tell them how to sign in; or ask the platform team to set up invitations "
        "(docs/how-to/invite.md).",
    )


def nobody() -> Problem:
    """The cluster does not say who this is, and a read without a name cannot be recorded."""
    return Problem(
        403,
        "IdentityUnknown",
        "The cluster does not tell who you are, and records are only shown to people whose names can be written down.",
        "Ask the platform team to permit selfsubjectreviews (authentication.k8s.io) to signed-in people.",
    )


def from_store(reason: str, message: str, next_step: str, *, retryable: bool) -> Problem:
    """What the database said, as a store error has it: a reason and a sentence without values."""
    status = 503 if retryable or reason.startswith(("Database", "Schema")) else 422
    return Problem(status, reason, message, next_step or "Look at the page again.")


def not_valid(message: str) -> Problem:
    """A value of a form that makes no sense."""
    return Problem(422, "NotValid", message, "Correct it, and send the form again.")


def bad_request() -> Problem:
    """Something in the address is not what stands there."""
    return Problem(
        400,
        "BadRequest",
        "A part of this address is not a valid name or value.",
        "Check the address: namespaces and names have small letters, digits, '-' and '.'.",
    )


def list_expired() -> Problem:
    """A continue token that the API server has forgotten."""
    return Problem(410, "ListExpired", "The list has changed since its first part was read.", "Start it from the top.")


def unavailable() -> Problem:
    """No answer from the API server."""
    return Problem(
        503,
        "ApiServerUnavailable",
        "The cluster's API server does not answer now.",
        "Try again in a minute. Syncs go on without the console.",
    )


def strange() -> Problem:
    """An answer that makes no sense."""
    return Problem(
        502,
        "ApiServerAnswerUnusable",
        "The cluster's API server gave an answer that the console cannot use.",
        "Try again in a minute; if it stays so, tell the platform team.",
    )


def unreadable(what: str) -> Problem:
    """An object that these models do not describe."""
    return Problem(
        502,
        "ObjectUnreadable",
        f"{what} has fields that this console does not know.",
        "Update the console to the version of the resource definitions; 'kubectl get' shows the object meanwhile.",
    )


def cross_site() -> Problem:
    """A form that was not sent from the console's own page."""
    return Problem(
        403,
        "CrossSiteRequest",
        "This form was not sent from the console's own page, or the page was too old, or its cookie is missing.",
        "Open the page again and repeat. The console must be opened with https, or as localhost.",
    )


def too_large() -> Problem:
    """A form beyond the bound."""
    return Problem(413, "FormTooLarge", "This is more than the form takes.", "Paste the token alone.")


def no_such_page() -> Problem:
    """An address that the console does not have."""
    return Problem(404, "NoSuchPage", "There is no such page.", "Begin at the list of districts.")


def not_allowed() -> Problem:
    """A method that the address does not have."""
    return Problem(405, "MethodNotAllowed", "This address cannot be used in this way.", "Begin at the districts.")


def defect() -> Problem:
    """A mistake of ours."""
    return Problem(
        500,
        "InternalError",
        "The console made a mistake.",
        "Try again; if it stays so, tell the platform team, whose log has the details.",
    )
