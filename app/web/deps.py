"""What routes ask for: a session to read or to write with, who acts, where in a list."""

import ipaddress
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import BackgroundTasks, Depends, Path, Query, Request
from pydantic import BeforeValidator, Field
from sqlalchemy.orm import Session

from app.actor import LOCAL, NOBODY, Actor, Role
from app.config import Settings
from app.db import Database
from app.errors import Forbidden, Unauthorized
from app.files.rows import Limits
from app.helper import Helper
from app.languages import _
from app.services import datasets
from app.services.accounts import access, people, sessions
from app.services.importing import limits
from app.services.operation.idempotency import CLAIM
from app.web.places import Places, give_place_back

COOKIE = "setright_session"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """Where in a long list: after a cursor, or before it."""

    cursor: str | None
    backwards: bool
    order: int | None = None  # of the queue; nothing means the newest


def database_of(request: Request) -> Database:
    """Return the app's whole database, for what nobody has to be signed in for."""
    database: Database = request.app.state.database
    return database


def seen_database(request: Request) -> Database:
    """Return the database as it is for who asks; before that is known there is no dataset in it."""
    return access.seen_by(database_of(request), actor_of_state(request))


def actor_of_state(request: Request) -> Actor:
    """Return who was found to ask; nobody before that is known."""
    found: Actor = getattr(request.state, "actor", NOBODY)
    return found


def settings_of(request: Request) -> Settings:
    """Return the app's settings."""
    settings: Settings = request.app.state.settings
    return settings


async def read_session(request: Request) -> AsyncIterator[Session]:
    """Open a transaction that never commits.

    Nothing is asked before the route does so, in its own thread; to end it may take the database's time. As
    in FastAPI's own, who ends one never waits for a thread: all may be waiting for the connection it has.
    """
    reading = seen_database(request).read()
    session = reading.__enter__()
    try:
        yield session
    finally:
        await to_thread.run_sync(reading.__exit__, None, None, None, limiter=CapacityLimiter(1))


def write_session(request: Request) -> Iterator[Session]:
    """Open a transaction that commits before the answer leaves."""
    with seen_database(request).write() as session:
        session.info[CLAIM] = getattr(request.state, "claim", None)
        yield session


async def place(request: Request) -> AsyncIterator[None]:
    """Have one of this process's places until the answer is made; to send it needs none."""
    places: Places = request.app.state.places
    async with places.taken() as taken:
        request.state.place = taken
        yield


async def helper(request: Request) -> AsyncIterator[Helper]:
    """Have a place at the processes beside this one until the answer is made."""
    found: Helper = request.app.state.helper
    give_place_back(request)
    async with found.place():
        yield found


Placed = Annotated[None, Depends(place, scope="function")]


def current_actor(request: Request, after_the_answer: BackgroundTasks, _placed: Placed) -> Actor:
    """Return who asks, for a route."""
    return who_asks(request, after_the_answer)


def who_asks(request: Request, after_the_answer: BackgroundTasks) -> Actor:
    """Return who asks: a login's person, or whoever sits at this machine while nobody has a login."""
    database, secret = database_of(request), request.cookies.get(COOKIE)
    with database.read() as session:
        found = sessions.signed_in(session, secret) if secret else None
        actor = found.actor if found else _without_login(request, has_logins=people.has_logins(session))
    if found and found.is_due and secret:
        after_the_answer.add_task(_note_visit, database, secret)
    request.state.actor, request.state.login = actor, found
    return actor


def _note_visit(database: Database, secret: str) -> None:
    try:
        with database.write() as session:
            sessions.note_visit(session, secret)
    except Exception:  # the answer has left already: whatever this is, it is no failure of the request
        log.exception("a visit was not noted")


def visitor(request: Request, after_the_answer: BackgroundTasks, _placed: Placed) -> Actor | None:
    """Return who asks where a page is for anybody, so that its frame can name them."""
    try:
        return who_asks(request, after_the_answer)
    except (Unauthorized, Forbidden):
        return None


def _without_login(request: Request, *, has_logins: bool) -> Actor:
    if has_logins:
        raise Unauthorized(_("Sign in first."))
    if not is_this_machine(request):
        raise Forbidden(
            _(
                "Nobody has a login here yet, so only this machine itself may look. Make one with "
                "`setright user add NAME --role admin`."
            )
        )
    if settings_of(request).local_access == "link":
        raise Unauthorized(
            _("Open the link that `setright serve` has printed: it shows that you started it.")
        )
    return LOCAL


def is_this_machine(request: Request) -> bool:
    """Say whether a request comes from this machine itself."""
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def require_there(database: Database, dataset_id: int, role: Role, *, actor: Actor) -> None:
    """Refuse an actor before a long upload begins: no such dataset, or not the role in it."""
    with database.read() as session:
        actor.require(role, datasets.get(session, dataset_id))


async def page(
    cursor: Annotated[str | None, Query()] = None,
    *,
    back: Annotated[bool, Query()] = False,
    order: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
) -> Page:
    """Read the place in a list from the query."""
    return Page(cursor=cursor, backwards=back, order=order)


# What takes no time is async: each dependency that is not costs every request a way to a thread and back.
async def _seen_database(request: Request) -> Database:
    return seen_database(request)


async def _database(request: Request) -> Database:
    return database_of(request)


async def _settings(request: Request) -> Settings:
    return settings_of(request)


async def _limits(settings: Annotated[Settings, Depends(_settings)]) -> Limits:
    return limits.limits_of(settings)


Id = Annotated[int, Path(ge=1, lt=2**63)]
"""A row's number in an address."""
RowId = Annotated[int, Field(ge=1, lt=2**63)]
"""A row's number in a form, a query or JSON."""
ChosenId = Annotated[RowId | None, BeforeValidator(lambda value: None if value == "" else value)]
"""A row's number in a form; a choice left empty means none."""
CurrentDatabase = Annotated[Database, Depends(_seen_database)]
"""The database as it is for who asks."""
WholeDatabase = Annotated[Database, Depends(_database)]
"""The database without anybody looking: for signing in, and nothing else."""
CurrentSettings = Annotated[Settings, Depends(_settings)]
CurrentLimits = Annotated[Limits, Depends(_limits)]
CurrentActor = Annotated[Actor, Depends(current_actor)]
Visitor = Annotated[Actor | None, Depends(visitor)]
CurrentHelper = Annotated[Helper, Depends(helper, scope="function")]
"""The processes beside this one, once not too many others ask them."""
CurrentPage = Annotated[Page, Depends(page)]
ReadSession = Annotated[Session, Depends(read_session, scope="function")]
WriteSession = Annotated[Session, Depends(write_session, scope="function")]
