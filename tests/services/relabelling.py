"""Label changes without a worker process: asking for them, doing them, and looking at what came of it."""

from typing import Any

import sqlalchemy as sa

from app.actor import LOCAL, Actor
from app.config import Settings
from app.db import Database
from app.jobs import batches as batch_jobs
from app.jobs.context import Context
from app.models import Batch, Example, Score, ScoringRun, Version
from app.models.columns import Split
from app.models.exports import Variant
from app.models.review import Verdict
from app.services import datasets
from app.services.bounding import batches
from app.services.labelling import relabelling
from app.services.labelling.relabelling import SplitChoices
from app.services.operation import runs
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import decisions
from app.services.reviewing.review import probabilities_of
from app.services.tuning import exports
from app.services.versioning import versions
from tests.factories import Row
from tests.services.checking import example_of, label_of

ROWS = (
    Row("one more", "a", "b", 0.01),
    Row("two", "a", "c", 0.05),
    Row("three", "b", "a", 0.2),
    Row("four", "c", "a", 0.3),
    Row("five more", "a"),
    Row("six", "b"),
    Row("seven", "c", "b", 0.02, split=Split.TEST),
    Row("eight", None, "a", 0.6),
)
"""r1 and r3 are issues between a and b, r2, r4 and (in test) r7 between one of them and c."""
EVERY = QueueFilter(preset=Preset.ALL, split=None)


def ids(database: Database, dataset_id: int, *names: str) -> list[int]:
    with database.read() as session:
        return [label_of(session, dataset_id, name).id for name in names]


def merge(database: Database, dataset_id: int, label: str, into: str, *, actor: Actor = LOCAL) -> Batch:
    label_id, into_id = ids(database, dataset_id, label, into)
    with database.write() as session:
        return relabelling.request_merge(session, dataset_id, label_id, into_id, actor=actor)


def split(database: Database, dataset_id: int, label: str | None, into: str, **changes: Any) -> Batch:
    into_id = ids(database, dataset_id, into)[0]
    label_id = ids(database, dataset_id, label)[0] if label else None
    with database.write() as session:
        choices = SplitChoices(label_id, **changes)
        return relabelling.request_split(session, dataset_id, choices, into_id, actor=LOCAL)


def work(settings: Settings, database: Database, batch: Batch) -> Batch:
    """Do what the worker does with a batch."""
    with database.write() as session:
        taken = runs.begin(session, Batch, batch.id)
    assert taken is not None
    batch_jobs.carry_out(Context(settings.model_copy(update={"pause_ms": 0}), database), taken)
    with database.read() as session:
        return batches.get(session, batch.id)


def undo(settings: Settings, database: Database, batch: Batch) -> Batch:
    with database.write() as session:
        batches.request_undo(session, batch.id, actor=LOCAL)
    return work(settings, database, batch)


def decide(database: Database, dataset_id: int, row: str, verdict: Verdict, label: str = "a") -> None:
    with database.write() as session:
        example, chosen = example_of(session, dataset_id, row), label_of(session, dataset_id, label)
        decisions.decide(
            session, dataset_id, example.id, verdict,
            version=example.version, label_id=chosen.id, actor=LOCAL,
        )  # fmt: skip


def export(database: Database, version_id: int, variant: Variant) -> list[tuple[str, str | None]]:
    with database.read(snapshot=True) as session:
        version = session.get_one(Version, version_id)
        rows = exports.read_rows(session, version, variant=variant, split="all")
        return [(row.id, row.label) for row in rows]


def freeze(database: Database, dataset_id: int) -> int:
    with database.write() as session:
        return versions.create(session, datasets.get(session, dataset_id), actor=LOCAL).id


def scores(database: Database, dataset_id: int) -> dict[str, tuple[Any, ...]]:
    """Return what the shown run says of each row: label, suggestion, probabilities, issue and rank."""
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        names = datasets.label_names(session, dataset_id)
        run = session.get_one(ScoringRun, dataset.current_run_id)
        found = session.execute(
            sa.select(Score, Example.external_id)
            .join(Example, Example.id == Score.example_id)
            .where(Score.run_id == run.id)
        )
        return {
            external_id: (
                names.get(score.given_label_id or 0),
                names[score.suggested_label_id or 0],
                {names[one]: round(value, 3) for one, value in probabilities_of(score, run).items()},
                score.is_issue,
                score.issue_rank,
                None if score.self_confidence is None else round(score.self_confidence, 3),
            )
            for score, external_id in found
        }
