"""Handing out a row between two transactions: it is found while nobody has to wait, and taken at a stroke."""

from app.actor import Actor
from app.db import Database
from app.services import handing_out, leases
from app.services.handing_out import Find
from app.services.queue_rows import QueueRow


def handed_out(
    database: Database, dataset_id: int, find: Find, *, minutes: float, actor: Actor
) -> QueueRow | None:
    """Return a row that is the actor's for some minutes.

    Somebody else may take it, or change it, before it is taken: then it is looked for again. What was written
    before stays written; where everybody snatches rows away, the answer is that there is none just now.
    """
    lost: set[int] = set()
    for _ in range(leases.MOST_TRIES):
        with database.read() as session:
            found = handing_out.look_for(session, dataset_id, find, but=lost, minutes=minutes, actor=actor)
        if found.row is None or not found.is_to_take:
            return found.row
        with database.write() as session:
            if leases.take_found(session, found.dataset, found.row, minutes=minutes, actor=actor):
                return found.row
        lost.add(found.row.example.id)
    return None
