"""Who sees and may do what: the roles of a person, and the rows that are there for them."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from app import events
from app.actor import LOCAL, Actor, Role
from app.db import Base, Database
from app.errors import Conflict, InvalidInput
from app.languages import _
from app.models.datasets import Dataset
from app.models.openai_api import ApiFile, TrainedModel, TrainingJob
from app.models.people import DatasetRole, Token, TokenScope, User

LIMITS = {TokenScope.READ: Role.VIEWER, TokenScope.DECIDE: Role.ANNOTATOR, TokenScope.ALL: Role.ADMIN}
"""The highest role with which a token acts, by its scope."""
OF_NO_DATASET = (ApiFile, TrainingJob, TrainedModel)
"""What may hold rows of any dataset: whoever does not see all of them sees only what is their own."""
_SEER = "setright_seer"
_ROLES = sa.select(DatasetRole.dataset_id, DatasetRole.role).where(
    DatasetRole.user_id == sa.bindparam("user_id")
)


def actor_of(session: Session, user: User) -> Actor:
    """Return a person as one who acts; an admin of everything is one in every dataset."""
    if user.role is Role.ADMIN and not user.is_guest:
        return Actor(user_id=user.id, name=user.name, role=Role.ADMIN)
    roles = dict(session.execute(_ROLES, {"user_id": user.id}).all())
    only = frozenset(dataset_id for dataset_id, role in roles.items() if role) if user.is_guest else None
    role = Role.VIEWER if user.is_guest else user.role
    return Actor(user_id=user.id, name=user.name, role=role, dataset_roles=roles, only=only)


def actor_of_token(session: Session, token: Token, user: User) -> Actor:
    """Return a person as a token acts for them: never beyond its scope, nor outside of its dataset."""
    actor, most = actor_of(session, user), LIMITS[token.scope]
    roles = {dataset_id: _at_most(role, most) for dataset_id, role in actor.dataset_roles.items()}
    if token.dataset_id is None:
        return Actor(actor.user_id, actor.name, _at_most(actor.role, most) or Role.VIEWER, roles, actor.only)
    there = _at_most(actor.role_in(token.dataset_id), most)
    only = frozenset({token.dataset_id} if there else ())
    return Actor(actor.user_id, actor.name, Role.VIEWER, {token.dataset_id: there}, only)


def _at_most(role: Role | None, most: Role) -> Role | None:
    return role if role is None or role.rank <= most.rank else most


def seen_by(database: Database, actor: Actor) -> Database:
    """Return the database as it is for an actor: rows of datasets that hide themselves are not there."""
    return database.with_info({_SEER: actor})


@sa.event.listens_for(Session, "do_orm_execute")
def _leave_out_what_is_hidden(state: ORMExecuteState) -> None:
    seer: Actor | None = state.session.info.get(_SEER)
    if seer is None or state.is_insert or state.is_relationship_load:
        return
    if seer.only is None and None not in seer.dataset_roles.values():
        return
    state.statement = state.statement.options(*_criteria(seer))


def _criteria(seer: Actor) -> Iterator[Any]:
    # Lambdas, so that SQLAlchemy applies them to aliases too; what they compare with are bound values.
    hidden = sorted(dataset_id for dataset_id, role in seer.dataset_roles.items() if role is None)
    only, user_id = sorted(seer.only or ()), seer.user_id
    for kind in _kinds():
        if kind is Dataset:
            there = (lambda of: of.id.not_in(hidden)) if seer.only is None else (lambda of: of.id.in_(only))
        elif seer.only is None:
            there = lambda of: of.dataset_id.is_(None) | of.dataset_id.not_in(hidden)  # noqa: E731 — see above
        elif _may_wait(kind):
            # What belongs to no dataset yet, as a file that waits to be confirmed, is whose it is.
            there = lambda of: (  # noqa: E731 — see above
                of.dataset_id.in_(only) | (of.dataset_id.is_(None) & (of.created_by_id == user_id))
            )
        else:
            there = lambda of: of.dataset_id.in_(only)  # noqa: E731 — see above
        yield with_loader_criteria(kind, there, include_aliases=True)
    for kind in OF_NO_DATASET:
        own = lambda of: of.created_by_id == user_id  # noqa: E731 — see above
        yield with_loader_criteria(kind, own, include_aliases=True)


@cache
def _kinds() -> list[type[Any]]:
    """Return every kind of row that belongs to a dataset."""
    kinds = [mapper.class_ for mapper in Base.registry.mappers if "dataset_id" in mapper.columns]
    return [Dataset, *(kind for kind in kinds if kind not in {DatasetRole, Token})]


def _may_wait(kind: type[Any]) -> bool:
    return hasattr(kind, "created_by_id") and bool(kind.dataset_id.nullable)


def role_named(name: str) -> Role:
    """Return the role of that name."""
    try:
        return Role(name)
    except ValueError:
        raise InvalidInput(
            _("%(name)r is none of the roles %(role)s.", name=name, role=", ".join(Role))
        ) from None


def roles_in(session: Session, dataset: Dataset) -> dict[int, Role | None]:
    """Return the roles that people have in a dataset instead of their own, by person."""
    rows = session.execute(
        sa.select(DatasetRole.user_id, DatasetRole.role).where(DatasetRole.dataset_id == dataset.id)
    )
    return dict(rows.all())


def set_role_in(session: Session, dataset: Dataset, user: User, role: Role | None, *, actor: Actor) -> None:
    """Give somebody another role in one dataset, or none: then it is not there for them."""
    actor.require(Role.ADMIN, dataset)
    _refuse_admins(user)
    if user.id == actor.user_id:
        raise Conflict(_("Somebody else has to change your own role."))
    found = session.get(DatasetRole, (user.id, dataset.id))
    old = _said(found.role) if found else "as elsewhere"
    if found is None:
        session.add(DatasetRole(user_id=user.id, dataset_id=dataset.id, role=role))
    else:
        found.role = role
    _record(session, dataset, user, old, _said(role), actor=actor)


def forget_role_in(session: Session, dataset: Dataset, user: User, *, actor: Actor) -> None:
    """Let somebody have the same role in a dataset as elsewhere."""
    actor.require(Role.ADMIN, dataset)
    _refuse_admins(user)
    if user.id == actor.user_id:
        raise Conflict(_("Somebody else has to change your own role."))
    found = session.get(DatasetRole, (user.id, dataset.id))
    if found is not None:
        session.delete(found)
        _record(session, dataset, user, _said(found.role), "as elsewhere", actor=actor)


def _refuse_admins(user: User) -> None:
    if user.id == LOCAL.user_id or (user.role is Role.ADMIN and not user.is_guest):
        raise Conflict(_("%(user)s is an admin, and admins may do everything everywhere.", user=user.name))


def _said(role: Role | None) -> str:
    return role.value if role else "none"


def _record(session: Session, dataset: Dataset, user: User, old: str, new: str, *, actor: Actor) -> None:
    told = {"user": user.name, "role": new}
    events.record(
        session, "access.changed", actor=actor, dataset_id=dataset.id, subject_id=user.id, old=old, new=told
    )
