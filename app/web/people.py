"""People: who has a login, what they may do, where they are signed in, and what became of it."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel, SecretStr
from sqlalchemy.orm import Session
from starlette.responses import Response

from app import events
from app.actor import Actor, Role, role_name
from app.languages import _
from app.models.people import User
from app.services import datasets
from app.services.accounts import access, access_log, people, sessions
from app.web.deps import CurrentActor, CurrentSettings, Id, ReadSession, RowId, WriteSession
from app.web.render import go_to, html, is_fragment, url
from app.web.signing_in import absolute

router = APIRouter(prefix="/people")
LINK_HOURS = 24
ELSEWHERE, HIDDEN = "elsewhere", "none"
"""Choices of a role in a dataset besides the roles: the one a person has elsewhere; it hides itself."""


class NewUserForm(BaseModel):
    """Somebody new."""

    name: str
    role: Role = Role.ANNOTATOR
    guest: bool = False
    password: SecretStr = SecretStr("")


class RoleForm(BaseModel):
    """What somebody may do."""

    role: Role
    guest: bool = False


class StateForm(BaseModel):
    """Whether somebody may come in."""

    active: bool


class DatasetRoleForm(BaseModel):
    """What somebody may do in one dataset."""

    dataset: RowId
    role: str


@router.get("", name="people.index")
def index(request: Request, session: ReadSession, actor: CurrentActor) -> Response:
    """List everybody with a login."""
    actor.require(Role.ADMIN)
    return html(
        request,
        "people/index.html",
        users=people.list_users(session),
        standings=access_log.standings(session),
        roles=list(Role),
        lines=access_log.newest(session, actor=actor),
        meanings=events.meanings(),
    )


@router.post("", name="people.create")
def create(
    request: Request, form: Annotated[NewUserForm, Form()], session: WriteSession, actor: CurrentActor
) -> Response:
    """Give somebody a login."""
    password = form.password.get_secret_value() or None
    user = people.create_user(session, form.name, form.role, password, is_guest=form.guest, actor=actor)
    there = url(request, "people.show", user_id=user.id)
    return go_to(request, there, flash=_("%(user)s has a login now.", user=user.name))


@router.get("/{user_id:int}", name="people.show")
def show(request: Request, user_id: Id, session: ReadSession, actor: CurrentActor) -> Response:
    """Show one person."""
    actor.require(Role.ADMIN)
    return html(request, "people/show.html", **_content(session, people.get_by_id(session, user_id), actor))


def _content(session: Session, user: User, actor: Actor) -> dict[str, Any]:
    cards = datasets.list_datasets(session)
    return {
        "user": user,
        "is_self": user.id == actor.user_id,
        "roles": list(Role),
        "datasets": sorted((card.dataset for card in cards), key=lambda dataset: dataset.name),
        "own_roles": access.actor_of(session, user).dataset_roles,
        "logins": sessions.list_open(session, user.id),
        "handle_of": sessions.handle_of,
        "tokens": people.list_tokens(session, user.id),
        "names": {card.dataset.id: card.dataset.name for card in cards},
        "link": "",
        "link_hours": LINK_HOURS,
    }


@router.post("/{user_id:int}/role", name="people.set_role")
def set_role(
    request: Request,
    user_id: Id,
    form: Annotated[RoleForm, Form()],
    session: WriteSession,
    actor: CurrentActor,
) -> Response:
    """Give somebody another role."""
    name = people.get_by_id(session, user_id).name
    people.set_role(session, name, form.role, is_guest=form.guest, actor=actor)
    return _back(
        request,
        user_id,
        _("%(name)s is %(role)s now.", name=name, role=role_name(access.role_named(form.role))),
    )


@router.post("/{user_id:int}/state", name="people.set_state")
def set_state(
    request: Request,
    user_id: Id,
    form: Annotated[StateForm, Form()],
    session: WriteSession,
    actor: CurrentActor,
) -> Response:
    """Switch somebody off or on."""
    user = people.get_by_id(session, user_id)
    people.set_active(session, user, is_active=form.active, actor=actor)
    said = (
        _("%(user)s can come in again.", user=user.name)
        if form.active
        else _("%(user)s is switched off.", user=user.name)
    )
    return _back(request, user_id, said)


@router.post("/{user_id:int}/link", name="people.make_link")
def make_link(
    request: Request, user_id: Id, session: WriteSession, actor: CurrentActor, settings: CurrentSettings
) -> Response:
    """Make a link that signs somebody in once, and show it, this once."""
    user = people.get_by_id(session, user_id)
    secret = sessions.make_link(session, user, hours=LINK_HOURS, actor=actor)
    link = absolute(request, settings, url(request, "account.open", {"key": secret}))
    content = {**_content(session, user, actor), "link": link}
    return html(request, "people/_link.html" if is_fragment(request) else "people/show.html", **content)


@router.post("/{user_id:int}/sessions/end", name="people.end_sessions")
def end_sessions(request: Request, user_id: Id, session: WriteSession, actor: CurrentActor) -> Response:
    """Sign somebody out everywhere."""
    user = people.get_by_id(session, user_id)
    sessions.end_all(session, user.id, actor=actor)
    return _back(request, user_id, _("%(user)s is signed out everywhere.", user=user.name))


@router.post("/{user_id:int}/datasets", name="people.set_dataset_role")
def set_dataset_role(
    request: Request,
    user_id: Id,
    form: Annotated[DatasetRoleForm, Form()],
    session: WriteSession,
    actor: CurrentActor,
) -> Response:
    """Give somebody another role in one dataset, or the one they have elsewhere again."""
    user = people.get_by_id(session, user_id)
    said = change_role(session, user, form.dataset, form.role, actor=actor)
    return _back(request, user_id, said)


def change_role(session: Session, user: User, dataset_id: int, role: str, *, actor: Actor) -> str:
    """Do what a form about a role in a dataset asks for; return what to say of it."""
    dataset = datasets.get(session, dataset_id)
    if role == ELSEWHERE:
        access.forget_role_in(session, dataset, user, actor=actor)
        return _(
            "%(user)s has the same role in %(dataset)s as elsewhere.", user=user.name, dataset=dataset.name
        )
    if role == HIDDEN:
        access.set_role_in(session, dataset, user, None, actor=actor)
        return _("%(dataset)s is not there for %(user)s any more.", dataset=dataset.name, user=user.name)
    access.set_role_in(session, dataset, user, access.role_named(role), actor=actor)
    return _(
        "%(user)s is %(role)s in %(dataset)s now.",
        user=user.name,
        role=role_name(access.role_named(role)),
        dataset=dataset.name,
    )


def _back(request: Request, user_id: int, flash: str) -> Response:
    return go_to(request, url(request, "people.show", user_id=user_id), flash=flash)
