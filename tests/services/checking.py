"""The truth about a dataset, counted from its rows, against the numbers that are kept."""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Database
from app.models import Counter, Dataset, Decision, Event, Example, Finding, Label, Progress, Score
from app.models.columns import Split
from app.models.datasets import CounterName
from app.models.evidence import kinds_of
from app.models.examples import ExampleState
from app.services.ranking.counting import Standing

Counted = dict[tuple[Split, CounterName], int]


def assert_counters(session: Session, dataset_id: int) -> None:
    """Recompute every number that is kept about a dataset, and compare."""
    dataset = session.get_one(Dataset, dataset_id, populate_existing=True)
    session.expire_all()
    counters: Tally[tuple[Split, CounterName]] = Tally()
    given: Tally[int | None] = Tally()
    current: Tally[int | None] = Tally()
    resolved: Tally[int | None] = Tally()
    findings = _findings(session, dataset)
    of_dataset = sa.select(Decision).where(Decision.dataset_id == dataset_id)
    decisions = {one.id: one for one in session.scalars(of_dataset)}
    for example, score in _rows(session, dataset):
        _assert_sound(example, score, findings[example.id])
        if example.last_decision_id is not None:
            last = decisions[example.last_decision_id]
            assert (last.example_id, last.new_state) == (example.id, example.state)
        standing = Standing(
            example.split,
            example.given_label_id,
            example.label_id,
            example.state,
            score is not None and score.is_issue,
            score.kinds if score is not None else 0,
        )
        counters.update((example.split, name) for name in standing.names())
        given[example.given_label_id] += 1
        current[example.label_id] += 1
        resolved[example.given_label_id] += example.state.is_resolved and example.split is Split.TRAIN
    assert _kept(session, dataset_id) == {key: value for key, value in counters.items() if value}
    for label in session.scalars(sa.select(Label).where(Label.dataset_id == dataset_id)):
        kept = label.name, label.given_count, label.current_count, label.resolved_count
        assert kept == (label.name, given[label.id], current[label.id], resolved[label.id])
    all_resolved = sum(counters[split, CounterName.RESOLVED] for split in Split)
    by_hour = sa.select(sa.func.sum(Progress.resolved)).where(Progress.dataset_id == dataset_id)
    assert (session.scalar(by_hour) or 0) == all_resolved


def _rows(session: Session, dataset: Dataset) -> list[tuple[Example, Score | None]]:
    run_id = dataset.current_run_id or 0
    query = (
        sa.select(Example, Score)
        .outerjoin(Score, (Score.example_id == Example.id) & (Score.run_id == run_id))
        .where(Example.dataset_id == dataset.id, Example.import_seq <= dataset.import_seq)
    )
    return [(example, score) for example, score in session.execute(query)]


def _findings(session: Session, dataset: Dataset) -> defaultdict[int, list[Finding]]:
    """Return what the current run has found of each row."""
    found: defaultdict[int, list[Finding]] = defaultdict(list)
    for one in session.scalars(sa.select(Finding).where(Finding.run_id == dataset.current_run_id)):
        found[one.example_id].append(one)
    return found


def _assert_sound(example: Example, score: Score | None, found: Sequence[Finding]) -> None:
    """Check what must hold of every row, whatever happened to it."""
    if example.state is ExampleState.OPEN:
        assert example.label_id == example.given_label_id, f"{example.external_id} is open but changed"
        assert example.decided_by_id is None
    if score is not None:
        repeated = (score.split, score.given_label_id, score.state, score.is_open)
        is_open = example.state is ExampleState.OPEN
        assert repeated == (example.split, example.given_label_id, example.state, is_open)
        assert {one.kind for one in found} == set(kinds_of(score.kinds))
        assert all((one.split, one.is_open) == (example.split, is_open) for one in found)


def _kept(session: Session, dataset_id: int) -> Counted:
    rows = session.scalars(sa.select(Counter).where(Counter.dataset_id == dataset_id))
    return {(row.split, row.name): row.value for row in rows if row.value}


def check(database: Database, dataset_id: int) -> None:
    """Do `assert_counters` in a transaction of its own."""
    with database.read() as session:
        assert_counters(session, dataset_id)


def event_names(session: Session, dataset_id: int | None = None) -> list[str]:
    """Return the names of all events, oldest first."""
    query = sa.select(Event.name).order_by(Event.id)
    return list(session.scalars(query if dataset_id is None else query.where(Event.dataset_id == dataset_id)))


def last_event(session: Session) -> Event:
    """Return what happened last."""
    return session.scalars(sa.select(Event).order_by(Event.id.desc()).limit(1)).one()


def example_of(session: Session, dataset_id: int, external_id: str) -> Example:
    """Return a row by its id in the file."""
    return session.scalars(
        sa.select(Example).where(Example.dataset_id == dataset_id, Example.external_id == external_id)
    ).one()


def label_of(session: Session, dataset_id: int, name: str) -> Label:
    """Return a label by its name."""
    return session.scalars(sa.select(Label).where(Label.dataset_id == dataset_id, Label.name == name)).one()


def label_names(session: Session, dataset_id: int) -> dict[str, tuple[str | None, str | None]]:
    """Return the given and the current label of every visible row, by the row's id."""
    dataset = session.get_one(Dataset, dataset_id)
    names = {label.id: label.name for label in session.scalars(sa.select(Label))}
    rows = session.scalars(
        sa.select(Example).where(Example.dataset_id == dataset_id, Example.import_seq <= dataset.import_seq)
    )
    return {
        row.external_id: (names.get(row.given_label_id or 0), names.get(row.label_id or 0)) for row in rows
    }
