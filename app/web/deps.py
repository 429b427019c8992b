"""What routes ask for: a session to read or to write with, who acts, where in a list."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Query, Request
from pydantic import BeforeValidator, Field
from sqlalchemy.orm import Session

from app.actor import LOCAL, Actor
from app.config import Settings
from app.db import Database
from app.errors import Forbidden, Unauthorized
from app.files.rows import Limits
from app.services import limits, people

COOKIE = "setright_session"


@dataclass(frozen=True)
class Page:
    """Where in a long list: after a cursor, or before it."""

    cursor: str | None
    backwards: bool
    order: int | None = None  # of the queue; nothing means the newest


def database_of(request: Request) -> Database:
    """Return the app's database."""
    database: Database = request.app.state.database
    return database


def settings_of(request: Request) -> Settings:
    """Return the app's settings."""
    settings: Settings = request.app.state.settings
    return settings


def limits_of(settings: "CurrentSettings") -> Limits:
    """Return the bounds of one file."""
    return limits.limits_of(settings)


def read_session(request: Request) -> Iterator[Session]:
    """Open a transaction that never commits."""
    with database_of(request).read() as session:
        yield session


def write_session(request: Request) -> Iterator[Session]:
    """Open a transaction that commits before the answer leaves."""
    with database_of(request).write() as session:
        yield session


def current_actor(request: Request) -> Actor:
    """Return who asks: a login's person, or whoever sits at this machine while nobody has a login."""
    with database_of(request).read() as session:
        secret = request.cookies.get(COOKIE)
        actor = people.actor_of_session(session, secret) if secret else None
        if actor is None:
            actor = _without_login(request, has_logins=people.has_logins(session))
    request.state.actor = actor
    return actor


def visitor(request: Request) -> Actor | None:
    """Return who asks where a page is for anybody, so that its frame can name them."""
    try:
        return current_actor(request)
    except (Unauthorized, Forbidden):
        return None


def _without_login(request: Request, *, has_logins: bool) -> Actor:
    if has_logins:
        raise Unauthorized("Sign in first.")
    if not _is_loopback(request):
        raise Forbidden(
            "Nobody has a login here yet, so only this machine itself may look. "
            "Make one with `setright user add NAME --role admin`."
        )
    return LOCAL


def _is_loopback(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def page(
    cursor: Annotated[str | None, Query()] = None,
    *,
    back: Annotated[bool, Query()] = False,
    order: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
) -> Page:
    """Read the place in a list from the query."""
    return Page(cursor=cursor, backwards=back, order=order)


Id = Annotated[int, Path(ge=1, lt=2**63)]
"""A row's number in an address."""
RowId = Annotated[int, Field(ge=1, lt=2**63)]
"""A row's number in a form, a query or JSON."""
ChosenId = Annotated[RowId | None, BeforeValidator(lambda value: None if value == "" else value)]
"""A row's number in a form; a choice left empty means none."""
CurrentDatabase = Annotated[Database, Depends(database_of)]
CurrentSettings = Annotated[Settings, Depends(settings_of)]
CurrentLimits = Annotated[Limits, Depends(limits_of)]
CurrentActor = Annotated[Actor, Depends(current_actor)]
Visitor = Annotated[Actor | None, Depends(visitor)]
CurrentPage = Annotated[Page, Depends(page)]
ReadSession = Annotated[Session, Depends(read_session, scope="function")]
WriteSession = Annotated[Session, Depends(write_session, scope="function")]
