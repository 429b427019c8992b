"""New orders of the queue without a worker."""

from collections.abc import Sequence

from app.db import Database
from app.models import Dataset, Example, Learning
from app.services.operation import runs
from app.services.ranking import learning as learnings


def put_in_front(
    database: Database, dataset_id: int, names: Sequence[str], *, kept: int = learnings.KEPT
) -> int:
    """Put these rows before all others, as a learning does; return its id. Something must be decided."""
    with database.write() as session:
        asked = learnings.request(session, dataset_id)
        assert asked is not None
        learning = runs.begin(session, Learning, asked.id)
        assert learning is not None
        learnings.begin(session, learning)
        ids = {row.external_id: row.id for row in session.query(Example).filter_by(dataset_id=dataset_id)}
        learnings.save_front(session, learning, [ids[name] for name in names], first=1)
        report = {"verdicts": 1, "learned": False, "rescored": True}
        assert learnings.publish(session, learning, report, kept=kept)
        assert session.get_one(Dataset, dataset_id).learning_id == learning.id
        return learning.id
