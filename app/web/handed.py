"""Handing out a row between two transactions: it is found while nobody has to wait, and taken at a stroke."""

from app.actor import Actor
from app.db import Database
from app.services.ranking.queue_rows import QueueRow
from app.services.together import handing_out, leases
from app.services.together.handing_out import Find


def handed_out(
    database: Database, dataset_id: int, find: Find, *, minutes: float, actor: Actor
) -> QueueRow | None:
    """Return a row that is the actor's for some minutes.

    Where many people ask at once, what was found may be gone before it is taken. Whoever was too late looks
    again, and holds nobody up meanwhile.
    """
    lost: set[int] = set()
    while len(lost) < leases.MOST_TRIES:
        with database.read() as session:
            found = handing_out.look_for(session, dataset_id, find, lost=lost, minutes=minutes, actor=actor)
        if found.row is None or not found.is_to_take:
            return found.row
        with database.write() as session:
            if handing_out.take_found(session, found, minutes=minutes, actor=actor):
                return found.row
        lost.add(found.row.example.id)
    raise leases.crowd()
