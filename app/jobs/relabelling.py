"""Ending a merge and its undoing: scores are made out of sight, then one change shows rows and scores."""

from itertools import count

from app.actor import Actor
from app.jobs.context import Context, Reporter
from app.models.review import Batch
from app.services.labelling import merged_scores, relabelling

CHUNK = 1000


def end_merge(context: Context, batch: Batch, report: Reporter, *, actor: Actor) -> bool:
    """Give a merge its scores and its end; False if rows have come up that are to be moved first."""
    with context.database.write() as session:
        run_id = merged_scores.begin(session, batch)
    if run_id is None:
        with context.database.write() as session:
            return relabelling.settle_merge(session, batch, actor=actor)
    _score(context, batch, run_id, report)
    mark = _catch_up(context, batch, run_id)
    with context.database.write() as session:
        is_settled = relabelling.settle_merge(session, batch, actor=actor)
        if is_settled:
            merged_scores.show(session, batch, run_id, since=mark)
        return is_settled


def end_separation(context: Context, batch: Batch) -> None:
    """Show the scores from before a merge again, if its own are still the ones that are shown."""
    with context.database.read() as session:
        run_id = merged_scores.run_before(session, batch)
    if run_id is None:
        _discard(context, batch)
        return
    added = 1
    while added:
        with context.database.write() as session:
            added = merged_scores.add_new_rows(session, batch, run_id, limit=CHUNK)
        context.pause()
    mark = _catch_up(context, batch, run_id)
    with context.database.write() as session:
        merged_scores.show(session, batch, run_id, since=mark)


def _discard(context: Context, batch: Batch) -> None:
    gone = 1
    while gone:
        with context.database.write() as session:
            gone = merged_scores.discard_chunk(session, batch, limit=CHUNK)
        context.pause()


def _score(context: Context, batch: Batch, run_id: int, report: Reporter) -> None:
    with context.database.read() as session:
        done, total = merged_scores.progress(session, batch, run_id)
    copied = 1
    while copied:
        with context.database.write() as session:
            copied = merged_scores.copy_chunk(session, batch, run_id, limit=CHUNK)
        done += copied
        report("scoring", done, max(done, total))
        context.pause()
    with context.database.read() as session:
        ranks = merged_scores.ranked_issues(session, run_id)
    for start in range(0, len(ranks), CHUNK):
        with context.database.write() as session:
            merged_scores.save_ranks(session, batch, run_id, ranks[start : start + CHUNK])
        context.pause()
    with context.database.read() as session:
        facts = merged_scores.report(session, batch, run_id)
    with context.database.write() as session:
        merged_scores.finish(session, batch, run_id, facts)


def _catch_up(context: Context, batch: Batch, run_id: int) -> int:
    """Repeat in a run out of sight what has become of the rows; return the decision it has caught up to."""
    with context.database.write() as session:
        mark = merged_scores.mark(session, batch)
    after: int | None = 0
    for _ in count():
        with context.database.write() as session:
            after = merged_scores.catch_up_chunk(session, batch, run_id, after=after or 0, limit=CHUNK)
        if after is None:
            break
        context.pause()
    return mark
