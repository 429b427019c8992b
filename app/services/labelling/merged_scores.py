"""Scores of a merged label: a run of its own, made of the current one by adding up columns.

The run before stays as it is, since versions drop the rows that it flagged, and undoing a merge shows it
again. Rows are copied out of sight, with what was found in them, and one pointer is moved at the end.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import insert_rows
from app.models.columns import RunState, Split
from app.models.examples import Example, ExampleState
from app.models.review import Batch, Decision
from app.models.scoring import UNSCORED, Score, ScoringRun
from app.science.merging import MergedScores, merge_scores
from app.science.probabilities import pack_rows, unpack
from app.services import datasets
from app.services.finding import findings, scoring
from app.services.operation import runs
from app.services.reviewing import decisions

BINS = 20


def begin(session: Session, batch: Batch) -> int | None:
    """Return the run that the merge's scores go into; none where the current run knows no such label."""
    fresh = runs.guard(session, batch)
    known = session.scalar(sa.select(ScoringRun).where(ScoringRun.batch_id == fresh.id))
    if known is not None:
        return known.id
    parent = session.get(ScoringRun, fresh.run_id) if fresh.run_id else None
    if parent is None or fresh.rule["label_id"] not in parent.label_ids:
        return None
    into_id = fresh.rule["into_id"]
    after = [into_id if label_id == fresh.rule["label_id"] else label_id for label_id in parent.label_ids]
    run = ScoringRun(
        dataset_id=fresh.dataset_id,
        embedder=parent.embedder,
        seed=parent.seed,
        folds=parent.folds,
        label_ids=list(dict.fromkeys(after)),
        decision_id=parent.decision_id,
        import_seq=parent.import_seq,
        state=RunState.DRAFT,
        started_at=parent.started_at,
        batch_id=fresh.id,
        created_by_id=fresh.created_by_id,
    )
    session.add(run)
    session.flush()
    return run.id


def copy_chunk(session: Session, batch: Batch, run_id: int, *, limit: int) -> int:
    """Copy the next rows' scores with the columns added up; return how many."""
    fresh = runs.guard(session, batch)
    run, parent = session.get_one(ScoringRun, run_id), session.get_one(ScoringRun, fresh.run_id)
    last = session.scalar(sa.select(sa.func.max(Score.example_id)).where(Score.run_id == run_id)) or 0
    rows = session.execute(
        sa.select(*_COLUMNS)
        .where(Score.run_id == parent.id, Score.example_id > last)
        .order_by(Score.example_id)
        .limit(limit)
    ).all()
    scored = [row for row in rows if row.suggested_label_id is not None]
    values = [_copied(row, run_id) for row in rows if row.suggested_label_id is None]
    if scored:
        values += _merged(scored, run, parent, fresh.rule["label_id"], fresh.rule["into_id"])
    if values:
        insert_rows(session, Score.__table__, _NAMES, [[one[name] for name in _NAMES] for one in values])
        findings.copy(session, parent.id, run_id, [row.example_id for row in rows])
    return len(rows)


_COLUMNS = list(Score.__table__.columns)
_NAMES = [column.name for column in _COLUMNS]


def _copied(row: Any, run_id: int) -> dict[str, Any]:
    return {**row._mapping, "run_id": run_id, "issue_rank": None}  # noqa: SLF001 — its public name begins so


def _merged(
    rows: Sequence[Any], run: ScoringRun, parent: ScoringRun, label_id: int, into_id: int
) -> list[dict[str, Any]]:
    number = {one: position for position, one in enumerate(run.label_ids)}
    number[label_id] = number[into_id]
    found = merge_scores(
        np.stack([unpack(row.pred_probs, len(parent.label_ids)) for row in rows]),
        np.array([number[one] for one in parent.label_ids], dtype=np.int64),
        number[into_id],
        given=np.array([number.get(row.given_label_id or 0, -1) for row in rows], dtype=np.int64),
        suggested=np.array([number[row.suggested_label_id or 0] for row in rows], dtype=np.int64),
        self_confidence=np.array([row.self_confidence for row in rows], dtype=np.float64),
        suggested_confidence=np.array([row.suggested_confidence for row in rows], dtype=np.float64),
    )
    blobs = pack_rows(found.pred_probs)
    return [
        {**_copied(row, run.id), **_changes(row, run, found, at), "pred_probs": blobs[at]}
        for at, row in enumerate(rows)
    ]


def _changes(row: Any, run: ScoringRun, found: MergedScores, at: int) -> dict[str, Any]:
    suggested_id = run.label_ids[int(found.suggested[at])]
    own, confidence = float(found.self_confidence[at]), float(found.suggested_confidence[at])
    has_label = row.self_confidence is not None
    is_issue = row.is_issue and suggested_id != row.given_label_id
    return {
        "suggested_label_id": suggested_id,
        "suggested_confidence": confidence,
        "self_confidence": own if has_label else None,
        "rank_key": own if has_label else 2 - confidence,
        "is_issue": is_issue,
        "is_recommended": row.is_recommended and is_issue,
    }


def ranked_issues(session: Session, run_id: int) -> list[tuple[int, int]]:
    """Return the issues of each split with their new ranks, 1 = lowest self-confidence."""
    found = session.execute(
        sa.select(Score.split, Score.example_id)
        .where(Score.run_id == run_id, Score.is_issue.is_(True))
        .order_by(Score.split, Score.self_confidence, Score.example_id)
    )
    seen: dict[Split, int] = {}
    ranked = []
    for split, example_id in found:
        seen[split] = seen.get(split, 0) + 1
        ranked.append((example_id, seen[split]))
    return ranked


def save_ranks(session: Session, batch: Batch, run_id: int, ranks: Sequence[tuple[int, int]]) -> None:
    """Write the ranks of some issues."""
    runs.guard(session, batch)
    values = [{"run_id": run_id, "example_id": row, "issue_rank": rank} for row, rank in ranks]
    session.execute(sa.update(Score), values)


def catch_up_chunk(session: Session, batch: Batch, run_id: int, *, after: int, limit: int) -> int | None:
    """Repeat in a run out of sight what has become of the next rows.

    The row to go on behind is returned, or None at the end.
    """
    runs.guard(session, batch)
    differs = (
        (Score.state != Example.state)
        | (Score.split != Example.split)
        | Score.given_label_id.is_distinct_from(Example.given_label_id)
    )
    ids = session.scalars(
        sa.select(Score.example_id)
        .join(Example, Example.id == Score.example_id)
        .where(Score.run_id == run_id, Score.example_id > after, differs)
        .order_by(Score.example_id)
        .limit(limit)
    ).all()
    _repeat(session, run_id, ids)
    return ids[-1] if ids else None


def mark(session: Session, batch: Batch) -> int:
    """Return the number of the dataset's last decision; none with a lower number comes later."""
    runs.guard(session, batch)
    dataset = datasets.lock(session, batch.dataset_id)
    return decisions.newest_id(session, dataset.id)


def run_before(session: Session, batch: Batch) -> int | None:
    """Return the run that was shown before a merge; none where the merge's own run is not shown now."""
    dataset = datasets.get(session, batch.dataset_id)
    shown = session.get(ScoringRun, dataset.current_run_id) if dataset.current_run_id else None
    return batch.run_id if shown is not None and shown.batch_id == batch.id else None


def discard_chunk(session: Session, batch: Batch, *, limit: int) -> int:
    """Delete the next scores of a merge that was stopped before they were shown; return how many."""
    runs.guard(session, batch)
    run = session.scalar(
        sa.select(ScoringRun).where(ScoringRun.batch_id == batch.id, ScoringRun.state == RunState.DRAFT)
    )
    if run is None:
        return 0
    doomed = session.scalars(sa.select(Score.example_id).where(Score.run_id == run.id).limit(limit)).all()
    findings.forget(session, run.id, doomed)
    session.execute(
        sa.delete(Score)
        .where(Score.run_id == run.id, Score.example_id.in_(doomed))
        .execution_options(synchronize_session=False)
    )
    if not doomed:
        session.delete(run)
    return len(doomed)


def progress(session: Session, batch: Batch, run_id: int) -> tuple[int, int]:
    """Return how many scores were copied already, and how many there are."""
    counts = [
        session.scalar(sa.select(sa.func.count()).where(Score.run_id == one)) or 0
        for one in (run_id, batch.run_id)
    ]
    return counts[0], counts[1]


def show(session: Session, batch: Batch, run_id: int, *, since: int) -> None:
    """Show a run that has caught up to decision `since`."""
    dataset = datasets.lock(session, batch.dataset_id)
    later = sa.select(Decision.example_id).where(Decision.dataset_id == dataset.id, Decision.id > since)
    _repeat(session, run_id, sorted(set(session.scalars(later))))
    session.get_one(ScoringRun, run_id).state = RunState.DONE
    scoring.show(session, dataset, run_id)


def _repeat(session: Session, run_id: int, example_ids: Sequence[int]) -> None:
    changed = []
    for start in range(0, len(example_ids), 1000):
        rows = session.execute(
            sa.select(Score, Example)
            .join(Example, Example.id == Score.example_id)
            .where(Score.run_id == run_id, Score.example_id.in_(example_ids[start : start + 1000]))
        )
        for score, example in rows:
            score.state, score.is_open = example.state, example.state is ExampleState.OPEN
            score.split, score.given_label_id = example.split, example.given_label_id
            changed.append(score)
    session.flush()
    findings.follow(session, changed)


def add_new_rows(session: Session, batch: Batch, run_id: int, *, limit: int) -> int:
    """List rows in a run out of sight that were imported since; return how many were added."""
    runs.guard(session, batch)
    dataset = datasets.get(session, batch.dataset_id)
    run = session.get_one(ScoringRun, run_id)
    return scoring.add_unscored(
        session, dataset, run_id, after_seq=run.import_seq, up_to_seq=dataset.import_seq, limit=limit
    )


def report(session: Session, batch: Batch, run_id: int) -> dict[str, Any]:
    """Return the report of a merge's run: the one before it, counted anew."""
    run, parent = session.get_one(ScoringRun, run_id), session.get_one(ScoringRun, batch.run_id)
    issues = _count(session, run_id, Score.is_issue)
    rows = [Score.run_id == run_id, Score.split == Split.TRAIN, Score.self_confidence.is_not(None)]
    flagged = [*rows, Score.is_issue.is_(True)]
    own, of_issues = (
        np.fromiter(session.scalars(sa.select(Score.self_confidence).where(*which)), dtype=np.float64)
        for which in (rows, flagged)
    )
    noise = parent.report.get("estimated_noise")
    found: dict[str, Any] = {
        **parent.report,
        "issues": issues,
        "recommended": _count(session, run_id, Score.is_recommended),
        "histogram": np.histogram(own, bins=BINS, range=(0, 1))[0].tolist(),
        "issue_histogram": np.histogram(of_issues, bins=BINS, range=(0, 1))[0].tolist(),
        "classes": _classes(session, rows),
        "pairs": _pairs(session, run_id),
        # What was estimated to be wrong between the two labels is not wrong any more.
        "estimated_noise": noise * issues / parent.issues if noise is not None and parent.issues else noise,
        "warnings": [*parent.report.get("warnings", []), _warning(batch)],
    }
    found["thresholds"] = [
        found["classes"].get(str(label_id), {}).get("mean_self_confidence") for label_id in run.label_ids
    ]
    return found


def finish(session: Session, batch: Batch, run_id: int, facts: dict[str, Any]) -> None:
    """Keep the report of a merge's run."""
    fresh = runs.guard(session, batch)
    run, parent = session.get_one(ScoringRun, run_id), session.get_one(ScoringRun, fresh.run_id)
    run.report, run.rows = facts, parent.rows
    run.issues, run.recommended = facts["issues"], facts["recommended"]
    run.finished_at = parent.finished_at


def _warning(batch: Batch) -> str:
    label, into = batch.rule["label"], batch.rule["into"]
    return (
        f"{label} was merged into {into} after these scores were computed; the probabilities of the two were "
        "added up. Score again to learn the new label set."
    )


def _count(session: Session, run_id: int, column: Any) -> int:
    query = sa.select(sa.func.count()).where(
        Score.run_id == run_id, Score.split == Split.TRAIN, column.is_(True)
    )
    return session.scalar(query) or 0


def _classes(session: Session, rows: Sequence[sa.ColumnElement[bool]]) -> dict[str, dict[str, Any]]:
    found = session.execute(
        sa.select(
            Score.given_label_id,
            sa.func.count(),
            sa.func.sum(sa.case((Score.is_issue.is_(True), 1), else_=0)),
            sa.func.avg(Score.self_confidence),
        )
        .where(*rows, Score.given_label_id.is_not(None), Score.rank_key < UNSCORED)
        .group_by(Score.given_label_id)
    )
    return {
        str(label_id): {"rows": count, "issues": int(issues), "mean_self_confidence": round(float(mean), 4)}
        for label_id, count, issues, mean in found
    }


def _pairs(session: Session, run_id: int) -> list[list[int]]:
    count = sa.func.count()
    found = session.execute(
        sa.select(Score.given_label_id, Score.suggested_label_id, count)
        .where(Score.run_id == run_id, Score.split == Split.TRAIN, Score.is_issue.is_(True))
        .group_by(Score.given_label_id, Score.suggested_label_id)
        .order_by(count.desc(), Score.given_label_id, Score.suggested_label_id)
    )
    return [[given or 0, suggested or 0, rows] for given, suggested, rows in found]
