"""Handing out a row: it is found while nobody has to wait, and taken at a stroke."""

from typing import Protocol

from sqlalchemy.orm import Session
from starlette.responses import Response

from app.actor import Actor
from app.db import Database, pause
from app.models.datasets import Dataset
from app.services.ranking.queue_rows import QueueRow
from app.services.together import handing_out, leases
from app.services.together.handing_out import Find


class Show(Protocol):
    """Makes the page that opens a row, or says that there is none; `is_mine` where it is only the actor's."""

    def __call__(
        self, session: Session, dataset: Dataset, row: QueueRow | None, *, is_mine: bool
    ) -> Response: ...


def handed_out(
    database: Database, dataset_id: int, find: Find, show: Show, *, minutes: float, actor: Actor
) -> Response:
    """Answer with a row that is the actor's for some minutes.

    Where many people ask at once, what was found may be gone before it is taken. Whoever was too late looks
    again, and holds nobody up meanwhile; so a row is shown only once it is taken.
    """
    lost: set[int] = set()
    for _look in range(leases.MOST_LOOKS):
        with database.read() as session:
            found = handing_out.look_for(session, dataset_id, find, lost=lost, minutes=minutes, actor=actor)
            row = found.first
            if row is None and lost:  # what was lost may be free again by now
                lost.clear()
                continue
            if found.is_to_take:
                pause(session)
                with database.write() as writing:
                    row = handing_out.take_found(writing, found, minutes=minutes, actor=actor)
                if row is None:
                    lost.update(one.example.id for one in found.rows)
                    continue
            return show(session, found.dataset, row, is_mine=found.is_to_take)
    raise leases.crowd()
