"""The index of words of a large file: made after its rows are shown, for an import should not wait for it."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import queue
from app.errors import Unavailable
from app.languages import _
from app.models.columns import RunState
from app.models.datasets import Dataset
from app.models.examples import Example
from app.models.imports import Import
from app.services.ranking import search
from app.services.ranking.queue_filter import QueueFilter


def begin(session: Session, import_: Import) -> None:
    """Ask for the words of an import's rows that were not indexed with them, now that these are shown."""
    if import_.words_left:
        queue.enqueue(session, queue.Job.INDEX, import_.id)


def add_chunk(session: Session, import_id: int, *, limit: int) -> bool:
    """Index the next rows of an import, `limit` at most; say whether there are more."""
    import_ = session.get(Import, import_id, with_for_update=True)
    if import_ is None or not import_.words_left or not _is_there(session, import_.dataset_id):
        return False
    # Locked, so that no update changes a text between its being read and being indexed.
    rows = session.execute(
        sa.select(Example.id, Example.text)
        .where(
            Example.dataset_id == import_.dataset_id,
            Example.import_seq == import_.seq,
            Example.id > import_.words_id,
        )
        .order_by(Example.id)
        .limit(limit)
        .with_for_update(read=True)
    ).all()
    if rows:
        known = search.known(session, rows[0].id, rows[-1].id)  # an update has indexed what it changed
        search.add(session, ((row.id, row.text) for row in rows if row.id not in known))
        import_.words_id = rows[-1].id
    import_.words_left = max(0, import_.words_left - len(rows)) if len(rows) == limit else 0
    return bool(import_.words_left)


def _is_there(session: Session, dataset_id: int | None) -> bool:
    """Say whether a dataset is still shown: one that is being deleted needs no index."""
    dataset = session.get(Dataset, dataset_id) if dataset_id is not None else None
    return dataset is not None and dataset.import_seq > 0


def rows_left(session: Session, dataset: Dataset) -> int:
    """Return how many rows of a dataset no search finds yet."""
    of_shown = (Import.dataset_id == dataset.id, Import.state == RunState.DONE)
    left: Sequence[int] = session.scalars(sa.select(Import.words_left).where(*of_shown)).all()
    return sum(left)


def require_whole(session: Session, dataset: Dataset, *wanted: QueueFilter) -> None:
    """Refuse a search whose result has to be complete while rows are missing in the index."""
    left = rows_left(session, dataset) if any(one.search for one in wanted) else 0
    if left:
        raise Unavailable(
            _(
                "The word index of %(dataset)s is being made: a search misses %(left)s rows yet. Try "
                "again when it is there.",
                dataset=dataset.name,
                left=f"{left:,}",
            )
        )
