"""Findings and neighbours of a run: storing them, and keeping them in step with what people decide."""

from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models.columns import Split
from app.models.datasets import CounterName
from app.models.evidence import Evidence, Finding, IssueKind
from app.models.examples import Example, ExampleState
from app.models.scoring import Score, ScoringRun
from app.services import datasets
from app.services.operation import runs
from app.services.ranking import counting

CHUNK = 1000


@dataclass(frozen=True)
class ScoredText:
    """A row as a run has scored it."""

    example_id: int
    text: str
    given_label_id: int | None
    split: Split
    pred_probs: bytes


def count_scored(session: Session, run: ScoringRun) -> int:
    """Count the rows that a run has scored."""
    return session.scalar(sa.select(sa.func.count()).where(Score.run_id == run.id)) or 0


def read_scored(session: Session, run: ScoringRun) -> Iterator[list[ScoredText]]:
    """Yield the rows that a run has scored, in the order in which they came, some at a time."""
    query = (
        sa.select(Score.example_id, Example.text, Score.given_label_id, Score.split, Score.pred_probs)
        .join(Example, Example.id == Score.example_id)
        .where(Score.run_id == run.id)
        .order_by(Score.example_id)
        .execution_options(yield_per=CHUNK)
    )
    for rows in session.execute(query).partitions():
        yield [ScoredText(*row) for row in rows]


def save(
    session: Session,
    run: ScoringRun,
    *,
    neighbours: Sequence[tuple[int, bytes]],
    found: Sequence[dict[str, Any]],
) -> None:
    """Store some rows' neighbours and findings; out of sight until the run is published, if it is not yet."""
    fresh = guard(session, run)
    if neighbours:
        session.execute(
            sa.insert(Evidence),
            [
                {"run_id": run.id, "example_id": example_id, "neighbours": blob}
                for example_id, blob in neighbours
            ],
        )
    if found:
        counts = _save_findings(session, run, found)
        if fresh.is_evidence_due:
            counting.add_counters(session, fresh.dataset_id, counts)


def guard(session: Session, run: ScoringRun) -> ScoringRun:
    """Return the run as it is now, locked; of a run that is shown already nobody decides meanwhile."""
    fresh = session.get(ScoringRun, run.id)
    if fresh is None or not fresh.is_evidence_due:
        return runs.guard(session, run)
    dataset = datasets.lock(session, fresh.dataset_id)
    session.refresh(fresh)
    if dataset.current_run_id != fresh.id or fresh.attempt != run.attempt:
        raise runs.Overtaken
    return fresh


def _save_findings(
    session: Session, run: ScoringRun, found: Sequence[dict[str, Any]]
) -> Tally[tuple[Split, CounterName]]:
    """Store findings, each as open as its row is now; return how many open ones there are of each kind."""
    bits: dict[int, int] = {}
    for one in found:
        bits[one["example_id"]] = bits.get(one["example_id"], 0) | IssueKind(one["kind"]).bit
    states = session.execute(sa.select(Example.id, Example.state, Example.split).where(Example.id.in_(bits)))
    now = {row.id: {"is_open": row.state is ExampleState.OPEN, "split": row.split} for row in states}
    rows = [{**one, "run_id": run.id, **now[one["example_id"]]} for one in found if one["example_id"] in now]
    session.execute(sa.insert(Finding), rows)
    session.execute(
        sa.update(Score),
        [{"run_id": run.id, "example_id": example_id, "kinds": value} for example_id, value in bits.items()],
    )
    return Tally(
        (one["split"], counting.open_counter(IssueKind(one["kind"]))) for one in rows if one["is_open"]
    )


def forget_chunk(session: Session, run: ScoringRun) -> bool:
    """Delete some of what an earlier attempt of a run stored; say whether there was any."""
    guard(session, run)
    found = False
    for kind in (Finding, Evidence):
        ids = session.scalars(sa.select(kind.example_id).where(kind.run_id == run.id).limit(CHUNK)).all()
        _delete(session, kind, kind.run_id == run.id, ids)
        found = found or bool(ids)
        if kind is Finding:
            session.execute(
                sa.update(Score)
                .where(Score.run_id == run.id, Score.example_id.in_(ids))
                .values(kinds=0)
                .execution_options(synchronize_session=False)
            )
    return found


def remove(session: Session, dataset_id: int, example_ids: Sequence[int]) -> None:
    """Delete what every run of a dataset says of examples that are going."""
    of_dataset = sa.select(ScoringRun.id).where(ScoringRun.dataset_id == dataset_id)
    for kind in (Finding, Evidence):
        _delete(session, kind, kind.run_id.in_(of_dataset), example_ids)


def forget(session: Session, run_id: int, example_ids: Sequence[int]) -> None:
    """Delete what one run says of some examples."""
    for kind in (Finding, Evidence):
        _delete(session, kind, kind.run_id == run_id, example_ids)


def _delete(
    session: Session,
    kind: type[Finding] | type[Evidence],
    of_runs: sa.ColumnElement[bool],
    example_ids: Sequence[int],
) -> None:
    session.execute(
        sa.delete(kind)
        .where(of_runs, kind.example_id.in_(example_ids))
        .execution_options(synchronize_session=False)
    )


def copy(session: Session, from_run_id: int, to_run_id: int, example_ids: Sequence[int]) -> None:
    """Repeat what one run says of some examples in another run."""
    for kind in (Finding, Evidence):
        others = [column for column in kind.__table__.columns if column.key != "run_id"]
        rows = sa.select(sa.literal(to_run_id), *others).where(
            kind.run_id == from_run_id, kind.example_id.in_(example_ids)
        )
        names = ["run_id", *(column.key for column in others)]
        session.execute(sa.insert(kind).from_select(names, rows))


def follow(session: Session, scores: Sequence[Score]) -> None:
    """Repeat in the findings what has just changed in some scores of one run."""
    places: dict[tuple[int, Split, bool], list[int]] = {}
    for score in scores:
        if score.kinds:
            places.setdefault((score.run_id, score.split, score.is_open), []).append(score.example_id)
    for (run_id, split, is_open), example_ids in sorted(places.items()):
        session.execute(
            sa.update(Finding)
            .where(Finding.run_id == run_id, Finding.example_id.in_(example_ids))
            .values(split=split, is_open=is_open)
            .execution_options(synchronize_session=False)
        )


def mark(session: Session, run_id: int, example_ids: Sequence[int], *, is_open: bool) -> None:
    """Say in the findings of some rows whether these are open still."""
    if example_ids:
        session.execute(
            sa.update(Finding)
            .where(Finding.run_id == run_id, Finding.example_id.in_(example_ids))
            .values(is_open=is_open)
            .execution_options(synchronize_session=False)
        )


def set_counters(session: Session, dataset_id: int, run_id: int) -> None:
    """Count the open rows of each kind anew, as a new run needs it."""
    rows = session.execute(
        sa.select(Finding.split, Finding.kind, sa.func.count())
        .where(Finding.run_id == run_id, Finding.is_open.is_(True))
        .group_by(Finding.split, Finding.kind)
    )
    sums: dict[tuple[Split, CounterName], int] = {
        (split, counting.open_counter(kind)): count for split, kind, count in rows
    }
    names = [counting.open_counter(kind) for kind in IssueKind]
    counting.set_counters(session, dataset_id, names, sums)
