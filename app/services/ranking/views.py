"""Saved views: a filter of the queue under a name, for oneself or for everybody."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import Actor, Role
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.languages import _
from app.models.datasets import Dataset
from app.models.people import User
from app.models.views import SavedView
from app.services.ranking.queue_filter import QueueFilter

MAX_NAME_CHARS = 80
MOST = 100


@dataclass(frozen=True)
class ViewLine:
    """A saved view, and whose it is."""

    view: SavedView
    owner: str
    is_own: bool


def list_views(session: Session, dataset: Dataset, *, actor: Actor) -> list[ViewLine]:
    """Return the actor's own views of a dataset and those shared by others, by name."""
    is_visible = (SavedView.user_id == actor.user_id) | SavedView.is_shared
    found = session.execute(
        sa.select(SavedView, User.name)
        .join(User, User.id == SavedView.user_id)
        .where(SavedView.dataset_id == dataset.id, is_visible)
        .order_by(sa.func.lower(SavedView.name), SavedView.id)
    )
    return [ViewLine(view, owner, view.user_id == actor.user_id) for view, owner in found]


def save(
    session: Session, dataset: Dataset, name: str, query: Mapping[str, str], *, is_shared: bool, actor: Actor
) -> SavedView:
    """Keep a filter under a name; another of the actor's views with that name takes the filter on."""
    name = _valid(name)
    wanted = QueueFilter.from_query(query)
    if is_shared:
        actor.require(Role.ANNOTATOR, dataset)
    known = _find(session, dataset.id, name, actor=actor)
    if known is not None:
        known.query, known.is_shared = wanted.to_query(), is_shared
        return known
    of_actor = (SavedView.dataset_id == dataset.id, SavedView.user_id == actor.user_id)
    if (session.scalar(sa.select(sa.func.count()).where(*of_actor)) or 0) >= MOST:
        raise InvalidInput(
            _("You have %(most)s views of %(dataset)s: delete one first.", most=MOST, dataset=dataset.name)
        )
    view = SavedView(
        dataset_id=dataset.id,
        user_id=actor.user_id,
        name=name,
        query=wanted.to_query(),
        is_shared=is_shared,
    )
    session.add(view)
    session.flush()
    return view


def change(
    session: Session, dataset: Dataset, view_id: int, name: str, *, is_shared: bool, actor: Actor
) -> SavedView:
    """Give one's own view another name, and show it to everybody or not."""
    view = _own(session, dataset, view_id, actor=actor)
    name = _valid(name)
    other = _find(session, dataset.id, name, actor=actor)
    if other is not None and other.id != view.id:
        raise Conflict(_("You have another view called %(name)s.", name=name))
    if is_shared:
        actor.require(Role.ANNOTATOR, dataset)
    view.name, view.is_shared = name, is_shared
    return view


def delete(session: Session, dataset: Dataset, view_id: int, *, actor: Actor) -> str:
    """Delete one's own view, or as an admin a shared one; return the name it had."""
    view = _visible(session, dataset, view_id, actor=actor)
    if view.user_id != actor.user_id:
        actor.require(Role.ADMIN, dataset)
    session.delete(view)
    return view.name


def _valid(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise InvalidInput(
            _(
                "A view's name is one line of 1 to %(max_name_chars)s printable characters.",
                max_name_chars=MAX_NAME_CHARS,
            )
        )
    return name


def _find(session: Session, dataset_id: int, name: str, *, actor: Actor) -> SavedView | None:
    return session.scalar(
        sa.select(SavedView).where(
            SavedView.dataset_id == dataset_id, SavedView.user_id == actor.user_id, SavedView.name == name
        )
    )


def _visible(session: Session, dataset: Dataset, view_id: int, *, actor: Actor) -> SavedView:
    view = session.get(SavedView, view_id)
    is_there = view is not None and view.dataset_id == dataset.id
    if view is None or not is_there or not (view.is_shared or view.user_id == actor.user_id):
        raise NotFound(
            _("There is no view %(view_id)s of %(dataset)s.", view_id=view_id, dataset=dataset.name)
        )
    return view


def _own(session: Session, dataset: Dataset, view_id: int, *, actor: Actor) -> SavedView:
    view = _visible(session, dataset, view_id, actor=actor)
    if view.user_id != actor.user_id:
        raise Forbidden(
            _("The view %(view)s is somebody else's; save it under a name of your own.", view=view.name)
        )
    return view
