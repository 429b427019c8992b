"""Handing out a row between two transactions: it is found while nobody has to wait, and taken at a stroke."""

from app.actor import Actor
from app.db import Database
from app.services import datasets
from app.services.ranking.queue_rows import QueueRow
from app.services.together import handing_out
from app.services.together.handing_out import Find


def handed_out(
    database: Database, dataset_id: int, find: Find, *, minutes: float, actor: Actor
) -> QueueRow | None:
    """Return a row that is the actor's for some minutes.

    Where many people ask at once, what was found is gone before it can be taken: who was too late once looks
    and takes in one transaction.
    """
    with database.read() as session:
        found = handing_out.look_for(session, dataset_id, find, minutes=minutes, actor=actor)
    if found.row is None or not found.is_to_take:
        return found.row
    with database.write() as session:
        if handing_out.take_found(session, found, minutes=minutes, actor=actor):
            return found.row
        dataset = datasets.get(session, dataset_id)
        return handing_out.hand_out(session, dataset, find, minutes=minutes, actor=actor)
