"""History: the event log of a dataset, newest first."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models.events import Event

PAGE = 100


def list_events(
    session: Session, dataset_id: int, *, before_id: int | None = None, name: str = "", limit: int = PAGE
) -> list[Event]:
    """Return events of a dataset; `before_id` continues an earlier page, `name` keeps one kind."""
    query = sa.select(Event).where(Event.dataset_id == dataset_id)
    if before_id is not None:
        query = query.where(Event.id < before_id)
    if name:
        query = query.where(Event.name == name)
    return list(session.scalars(query.order_by(Event.id.desc()).limit(limit)))
