"""Rows for tests, made straight from the tables: a scored dataset without a worker or a model."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy.orm import Session

from app import events
from app.actor import LOCAL, Actor, Role
from app.db import Database, now
from app.models import Dataset, Example, Label, Score, ScoringRun, User, Worker
from app.models.columns import RunState, Split
from app.models.evidence import IssueKind
from app.models.examples import ExampleState, text_hash
from app.science.neighbours import pack, pack_ids
from app.science.probabilities import pack_rows
from app.services.finding import findings
from app.services.importing import metadata
from app.services.ranking import search
from app.services.ranking.counting import Standing, Sums

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Row:
    """One row to make; a row whose suggestion differs from its label is a label issue."""

    text: str
    given: str | None
    suggested: str | None = None
    self_confidence: float = 0.9
    split: Split = Split.TRAIN
    metadata: dict[str, str] = field(default_factory=dict)


ROWS = (
    Row("Where is my parcel?", "refund", "order", 0.02, metadata={"channel": "chat"}),
    Row("I want my money back", "order", "refund", 0.05),
    Row("The lamp does not turn on", "order", "fault", 0.08),
    Row("Is it dimmable?\nAnd how bright is it?", "fault", "question", 0.11),
    Row("Money back please, the shade is broken", "fault", "refund", 0.15),
    Row("It flickers", "fault"),
    Row("Do you sell bulbs?", "question"),
    Row("When will it come?", "order"),
    Row("مرحبا، أين طلبي؟", "order"),
    Row("Refund me", "order", "refund", 0.3, split=Split.TEST),
    Row("My order has not come", "order", split=Split.TEST),
)
"""Eleven rows in four classes; five label issues in train, one in test."""

TUNABLE_ROWS = (*ROWS, Row("Which bulb fits the lamp?", "question"))
"""One train row more: services for fine-tunes take ten at least."""


def make_dataset(
    database: Database, *, name: str = "Requests", rows: Sequence[Row] = ROWS, scored: bool = True
) -> int:
    """Make a dataset, scored unless told otherwise; return its id."""
    with database.write() as session:
        dataset = Dataset(name=name, import_seq=1, created_by_id=LOCAL.user_id)
        session.add(dataset)
        session.flush()
        labels = _labels(session, dataset, rows)
        examples = _examples(session, dataset, rows, labels)
        if scored:
            _score(session, dataset, rows, labels, examples)
        _count(session, dataset, rows, examples, scored=scored)
        return dataset.id


def _labels(session: Session, dataset: Dataset, rows: Sequence[Row]) -> dict[str, Label]:
    names = sorted({name for row in rows for name in (row.given, row.suggested) if name})
    labels = {name: Label(dataset_id=dataset.id, name=name, import_seq=1) for name in names}
    session.add_all(labels.values())
    session.flush()
    return labels


def _examples(
    session: Session, dataset: Dataset, rows: Sequence[Row], labels: dict[str, Label]
) -> list[Example]:
    made = []
    for position, row in enumerate(rows, start=1):
        label_id = labels[row.given].id if row.given else None
        example = Example(
            dataset_id=dataset.id,
            external_id=f"r{position}",
            import_seq=1,
            position=position,
            split=row.split,
            text=row.text,
            text_hash=text_hash(row.text),
            given_label_id=label_id,
            label_id=label_id,
            details=dict(row.metadata),
        )
        session.add(example)
        made.append(example)
    session.flush()
    search.add(session, [(example.id, example.text) for example in made])
    names = sorted({name for row in rows for name in row.metadata})
    columns = metadata.columns(session, dataset.id, names)
    metadata.add(session, columns, [(example.id, example.details) for example in made])
    return made


def _score(
    session: Session,
    dataset: Dataset,
    rows: Sequence[Row],
    labels: dict[str, Label],
    examples: Sequence[Example],
) -> None:
    run = ScoringRun(
        dataset_id=dataset.id,
        embedder="use",
        state=RunState.DONE,
        started_at=now() + dt.timedelta(seconds=1),
        finished_at=now() + dt.timedelta(seconds=2),
        created_by_id=LOCAL.user_id,
        label_ids=[label.id for label in labels.values()],
    )
    session.add(run)
    session.flush()
    ranks = {Split.TRAIN: 0, Split.TEST: 0}
    for row, example in zip(rows, examples, strict=True):
        if _is_issue(row):
            ranks[row.split] += 1
        session.add(_scored(run, row, example, labels, ranks[row.split]))
    session.flush()
    run.rows, run.issues = len(rows), ranks[Split.TRAIN]
    run.report = _report(rows, labels)
    dataset.current_run_id = run.id


def _is_issue(row: Row) -> bool:
    return row.given is not None and row.suggested is not None and row.suggested != row.given


def _scored(run: ScoringRun, row: Row, example: Example, labels: dict[str, Label], rank: int) -> Score:
    suggested = row.suggested or row.given or next(iter(labels))
    own = row.self_confidence
    suggested_confidence = 0.95 - own if _is_issue(row) else own
    known = {row.given: own, suggested: suggested_confidence}
    rest = (1 - sum(known.values())) / max(len(labels) - len(known), 1)
    probabilities = np.array([[known.get(name, rest) for name in labels]], dtype=np.float32)
    return Score(
        run_id=run.id,
        example_id=example.id,
        self_confidence=own if row.given else None,
        rank_key=own if row.given else 2 - suggested_confidence,
        suggested_label_id=labels[suggested].id,
        suggested_confidence=suggested_confidence,
        is_issue=_is_issue(row),
        is_recommended=_is_issue(row) and own < RECOMMENDED_BELOW,
        issue_rank=rank if _is_issue(row) else None,
        pred_probs=pack_rows(probabilities)[0],
        split=row.split,
        given_label_id=example.given_label_id,
        state=ExampleState.OPEN,
        is_open=True,
    )


RECOMMENDED_BELOW = 0.1


def _report(rows: Sequence[Row], labels: dict[str, Label]) -> dict[str, object]:
    issues = [row for row in rows if _is_issue(row) and row.split is Split.TRAIN and row.given]
    pairs: dict[tuple[int, int], int] = {}
    for row in issues:
        pair = labels[str(row.given)].id, labels[str(row.suggested)].id
        pairs[pair] = pairs.get(pair, 0) + 1
    return {
        "estimated_noise": len(issues) / len(rows),
        "advice": {"reason": "The three surest are worth it.", "expected_precision": 0.8},
        "histogram": [len(issues), *[0] * 18, len(rows) - len(issues)],
        "issue_histogram": [len(issues), *[0] * 19],
        "agreement": [[0] * 18 + [100, 1000], [0] * 18 + [30, 970]],
        "classes": {
            str(label.id): {
                "rows": sum(row.given == name and row.split is Split.TRAIN for row in rows),
                "issues": sum(row.given == name for row in issues),
                "mean_self_confidence": 0.5,
            }
            for name, label in labels.items()
        },
        "pairs": [[given, suggested, count] for (given, suggested), count in pairs.items()],
        "classifier": "logistic regression",
    }


def _count(
    session: Session, dataset: Dataset, rows: Sequence[Row], examples: Sequence[Example], *, scored: bool
) -> None:
    sums = Sums()
    for row, example in zip(rows, examples, strict=True):
        is_issue = scored and _is_issue(row)
        label_id = example.label_id
        sums.add(Standing(row.split, label_id, label_id, ExampleState.OPEN, is_issue))
    sums.save(session, dataset.id)


def make_user(database: Database, name: str, role: Role) -> Actor:
    """Give somebody a login with the password `PASSWORD`, weakly hashed: hundreds of tests ask."""
    with database.write() as session:
        user = User(name=name, role=role, password_hash=_weak_hash())
        session.add(user)
        session.flush()
        facts = {"name": name, "role": role}
        events.record(session, "user.created", actor=LOCAL, subject_id=user.id, new=facts)
        return Actor(user_id=user.id, name=user.name, role=user.role)


@cache
def _weak_hash() -> str:
    return PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),)).hash(PASSWORD)


def make_worker(database: Database) -> None:
    """Make it look as if a worker had just given a sign of life."""
    with database.write() as session:
        session.add(Worker(executor_id="test-1", host="test", pid=1, started_at=now(), beat_at=now()))


@dataclass(frozen=True)
class Found:
    """One kind of issue to give to a row; rows are named by their ids in the file."""

    row: str
    kind: IssueKind
    score: float = 0.1
    related: tuple[str, ...] = ()


def add_evidence(
    database: Database,
    dataset_id: int,
    *,
    neighbours: Mapping[str, Sequence[tuple[str, float]]],
    found: Sequence[Found] = (),
) -> None:
    """Give rows of the current run neighbours and kinds of issue, ranked in the order they are given in."""
    with database.write() as session:
        run = session.get_one(ScoringRun, session.get_one(Dataset, dataset_id).current_run_id)
        rows = {row.external_id: row for row in session.query(Example).filter_by(dataset_id=dataset_id)}
        ids = {name: row.id for name, row in rows.items()}
        packed = [
            (
                ids[name],
                pack(np.array([[ids[other] for other, _ in near]]), np.array([[how for _, how in near]]))[0],
            )
            for name, near in neighbours.items()
        ]
        values = [
            {
                "example_id": ids[one.row],
                "kind": one.kind,
                "rank": rank,
                "score": one.score,
                "related": pack_ids(np.array([ids[other] for other in one.related], np.int64)),
                "related_count": len(one.related),
                "split": rows[one.row].split,
            }
            for rank, one in enumerate(found, start=1)
        ]
        # The run was published before: it is opened again for what it stores.
        state, run.state = run.state, RunState.RUNNING
        session.flush()
        findings.save(session, run, neighbours=packed, found=values)
        run.state = state
        session.flush()
        findings.set_counters(session, dataset_id, run.id)
        kinds: dict[str, dict[str, int]] = {kind: {"train": 0, "test": 0} for kind in IssueKind}
        for one in found:
            kinds[one.kind][rows[one.row].split] += 1
        run.report = {**run.report, "kinds": kinds}
