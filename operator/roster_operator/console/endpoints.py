"""The JSON API: the same reads as the pages, for programs, each with the caller's own bearer token.

A session's cookie is never accepted here, so no other web site can use it.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from . import problems
from .cluster import PAGE, Cluster
from .inputs import NAME_PATTERN, NAMESPACE_PATTERN, clean_token
from .problems import ProblemBody
from .resources import Connection, ConnectionPage, Sync, SyncPage
from .sessions import Session
from .site import Site, site_of

_bearer = HTTPBearer(auto_error=False, description="A Kubernetes token of the person who asks.")
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemBody, "description": text}
    for code, text in (
        (400, "A part of the address is not valid."),
        (401, "No token, or one that the cluster does not accept."),
        (403, "The person may not read this."),
        (404, "It does not exist."),
        (410, "The list has changed; start it from the top."),
        (502, "The API server's answer cannot be used."),
        (503, "The API server does not answer."),
    )
}
# Of what is read or changed in the database, or decided.
MORE: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemBody, "description": text}
    for code, text in (
        (409, "It is another one now, or nothing is to be decided."),
        (422, "A value makes no sense, or nothing is there to be done."),
    )
}
router = APIRouter(prefix="/api", tags=["roster"], responses=PROBLEMS)


def _token(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> str:
    token = clean_token(credentials.credentials) if credentials else None
    if token is None:
        raise problems.not_signed_in()
    return token


def _cluster(request: Request) -> Cluster:
    return site_of(request).cluster


Token = Annotated[str, Depends(_token)]


async def _caller(request: Request, token: Token) -> Session:
    """The caller as the pages know people: a name that a reading can be recorded under."""
    person = await site_of(request).cluster.person(token)
    return Session(token, person, (), "")


Caller = Annotated[Session, Depends(_caller)]
Here = Annotated[Site, Depends(site_of)]
Reader = Annotated[Cluster, Depends(_cluster)]
Namespace = Annotated[str, Path(pattern=NAMESPACE_PATTERN, max_length=63)]
Name = Annotated[str, Path(pattern=NAME_PATTERN, max_length=253)]
Limit = Annotated[int, Query(ge=1, le=PAGE)]
Continue = Annotated[str | None, Query(alias="continue", max_length=4096)]
NO_NUL = r"^[^\x00]*$"  # PostgreSQL has no such letter
Text = Annotated[str | None, Query(max_length=255, pattern=NO_NUL)]
SourcedId = Annotated[str, Query(alias="id", min_length=1, max_length=255, pattern=NO_NUL)]
MOST = 500  # records of one answer


@router.get("/namespaces/{namespace}/connections", response_model_exclude_none=True)
async def list_connections(
    namespace: Namespace, token: Token, cluster: Reader, limit: Limit = PAGE, following: Continue = None
) -> ConnectionPage:
    """The namespace's RosterConnections, a part at a time."""
    return await cluster.connections(token, namespace, limit, following)


@router.get("/namespaces/{namespace}/connections/{name}", response_model_exclude_none=True)
async def read_connection(namespace: Namespace, name: Name, token: Token, cluster: Reader) -> Connection:
    """One RosterConnection."""
    return await cluster.connection(token, namespace, name)


@router.get("/namespaces/{namespace}/syncs", response_model_exclude_none=True)
async def list_syncs(
    namespace: Namespace, token: Token, cluster: Reader, limit: Limit = PAGE, following: Continue = None
) -> SyncPage:
    """The namespace's RosterSyncs, a part at a time."""
    return await cluster.syncs(token, namespace, limit, following)


@router.get("/namespaces/{namespace}/syncs/{name}", response_model_exclude_none=True)
async def read_sync(namespace: Namespace, name: Name, token: Token, cluster: Reader) -> Sync:
    """One RosterSync."""
    return await cluster.sync(token, namespace, name)
