"""Datasets: finding, naming, counting, deleting."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events, queue
from app.actor import Actor, Role
from app.db import remembered, row_by_id
from app.errors import Conflict, InvalidInput, NotFound
from app.languages import N_, _
from app.models.columns import RunState, Split
from app.models.datasets import Colour, Counter, CounterName, Dataset, Label
from app.models.evidence import IssueKind
from app.models.examples import Example
from app.models.experiments import Experiment
from app.models.exports import Export
from app.models.fine_tunes import FineTune
from app.models.imports import Import
from app.models.metadata import ColumnChange
from app.models.model_tests import ModelTest
from app.models.review import Batch
from app.models.scoring import ScoringRun
from app.models.together import Assignment
from app.services.operation import runs
from app.services.ranking.counting import open_counter

MAX_NAME_CHARS = 200
_COUNTERS = sa.select(Counter.name, Counter.split, Counter.value).where(
    Counter.dataset_id == sa.bindparam("dataset_id")
)
_LABELS = sa.select(Label).where(
    Label.dataset_id == sa.bindparam("dataset_id"),
    Label.import_seq <= sa.bindparam("import_seq"),
    Label.retired_after.is_(None),
)
_COLOURS = sa.select(Label.name, Label.colour).where(
    Label.dataset_id == sa.bindparam("dataset_id"), Label.colour != Colour.NONE
)
BUSY: dict[type[runs.AnyRun], str] = {
    Import: N_("a file is being imported"),
    ScoringRun: N_("it is being scored"),
    Batch: N_("a batch is being applied or undone"),
    Export: N_("an export is being written"),
    Experiment: N_("an experiment is running"),
    FineTune: N_("a fine-tune is running"),
    ModelTest: N_("a model is being tested"),
    Assignment: N_("rows are being assigned"),
    ColumnChange: N_("columns to filter by are being changed"),
}
"""What a dataset is busy with, by the kind of its running job."""


@dataclass(frozen=True)
class Counts:
    """How many rows of a dataset are what."""

    train: int = 0
    test: int = 0
    unlabelled: int = 0
    issues: int = 0
    open_issues: int = 0
    needs_review: int = 0
    resolved: int = 0
    excluded: int = 0
    changed: int = 0
    auto_fixed: int = 0
    open_conflict: int = 0
    open_near_duplicate: int = 0
    open_outlier: int = 0
    open_ambiguous: int = 0
    open_leak: int = 0
    open_broken: int = 0

    def open_of(self, kind: IssueKind) -> int:
        """Return how many rows of a kind nobody has decided."""
        found: int = getattr(self, open_counter(kind).value)
        return found

    @property
    def rows(self) -> int:
        return self.train + self.test


@dataclass(frozen=True)
class DatasetCard:
    """What the list of datasets shows of one; its issues and decisions are those of the train split."""

    dataset: Dataset
    counts: Counts
    labels: int
    run: ScoringRun | None
    open_run: bool
    failed: bool  # it has no scores, and the last attempt failed


def get(session: Session, dataset_id: int) -> Dataset:
    """Return the dataset; one whose first import is still on its way is not there yet."""
    dataset = row_by_id(session, Dataset, dataset_id)
    if dataset is None or dataset.import_seq == 0:
        raise NotFound(_("There is no dataset %(dataset_id)s.", dataset_id=dataset_id))
    return dataset


def get_by_name(session: Session, name: str) -> Dataset:
    """Return the dataset of that name, or say which ones there are."""
    dataset = session.scalar(sa.select(Dataset).where(Dataset.name == name, Dataset.import_seq > 0))
    if dataset is None:
        names = session.scalars(sa.select(Dataset.name).where(Dataset.import_seq > 0).order_by(Dataset.name))
        known = ", ".join(names.all()) or _("none yet")
        raise NotFound(_("There is no dataset %(name)r. Datasets: %(known)s.", name=name, known=known))
    return dataset


def list_datasets(
    session: Session, *, before_id: int | None = None, limit: int | None = None
) -> list[DatasetCard]:
    """Return the datasets, newest first; `before_id` continues an earlier page."""
    query = sa.select(Dataset).where(Dataset.import_seq > 0)
    if before_id is not None:
        query = query.where(Dataset.id < before_id)
    return [
        _card(session, dataset) for dataset in session.scalars(query.order_by(Dataset.id.desc()).limit(limit))
    ]


def _card(session: Session, dataset: Dataset) -> DatasetCard:
    in_use = sa.select(sa.func.count()).where(*visible_labels(dataset))
    last = session.scalar(
        sa.select(ScoringRun.state)
        .where(ScoringRun.dataset_id == dataset.id, ScoringRun.state != RunState.DRAFT)
        .order_by(ScoringRun.id.desc())
        .limit(1)
    )
    return DatasetCard(
        dataset=dataset,
        counts=counts(session, dataset.id, split=Split.TRAIN),
        labels=session.scalar(in_use) or 0,
        run=session.get(ScoringRun, dataset.current_run_id) if dataset.current_run_id else None,
        open_run=last is not None and last.is_open,
        failed=last is RunState.FAILED and dataset.current_run_id is None,
    )


def counters(session: Session, dataset_id: int) -> list[tuple[CounterName, Split, int]]:
    """Return the name, the split and the value of each counter of a dataset."""

    def read() -> list[tuple[CounterName, Split, int]]:
        return [
            (name, split, value)
            for name, split, value in session.execute(_COUNTERS, {"dataset_id": dataset_id})
        ]

    return remembered(session, (Counter, dataset_id), read)


def counts(session: Session, dataset_id: int, *, split: Split | None = None) -> Counts:
    """Return the counters of a dataset; `split` narrows all but `train` and `test` to one split."""
    sums: dict[str, int] = {}
    for name, of_split, value in counters(session, dataset_id):
        if name is CounterName.ROWS:
            sums[of_split.value] = value
        elif split in {None, of_split}:
            sums[name.value] = sums.get(name.value, 0) + value
    return Counts(**sums)


def labels(session: Session, dataset: Dataset) -> list[Label]:
    """Return the labels of a dataset in the order of their names' code points."""
    found = session.scalars(_LABELS, {"dataset_id": dataset.id, "import_seq": dataset.import_seq})
    return sorted(found, key=lambda label: label.name)


def is_in_use(label: Label, dataset: Dataset) -> bool:
    """Say whether a label is one of the dataset's that people can choose today."""
    is_there = label.dataset_id == dataset.id and label.import_seq <= dataset.import_seq
    return is_there and label.retired_after is None


def label_names(session: Session, dataset_id: int) -> dict[int, str]:
    """Return the name of every label by its id, of those that were merged or deleted too."""
    found = session.execute(sa.select(Label.id, Label.name).where(Label.dataset_id == dataset_id))
    return dict(found.all())


def label_colours(session: Session, dataset_id: int) -> dict[str, Colour]:
    """Return the colour of each label that was given one, by its name."""
    return dict(session.execute(_COLOURS, {"dataset_id": dataset_id}).all())


def source_name(session: Session, dataset: Dataset, example_id: int) -> str | None:
    """Return the label of a row as its file has it."""
    return session.scalar(
        sa.select(Label.source_name)
        .join(Example, Example.source_label_id == Label.id)
        .where(Example.id == example_id, Example.dataset_id == dataset.id)
    )


def visible_labels(dataset: Dataset) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition that leaves out labels of an import on its way, merged and deleted ones."""
    return (
        Label.dataset_id == dataset.id,
        Label.import_seq <= dataset.import_seq,
        Label.retired_after.is_(None),
    )


def class_ids(session: Session, dataset_id: int) -> dict[int, int]:
    """Return for each merged label the one whose rows it names today; other labels are their own."""
    found = session.execute(
        sa.select(Label.id, Label.merged_into_id).where(
            Label.dataset_id == dataset_id, Label.merged_into_id.is_not(None)
        )
    )
    merged = {label_id: into_id for label_id, into_id in found if into_id is not None}
    return {label_id: _end_of(label_id, merged) for label_id in merged}


def class_of(session: Session, label_id: int | None) -> int | None:
    """Return the label whose rows a label names today: itself, unless it was merged into another."""
    label = session.get(Label, label_id) if label_id is not None else None
    while label is not None and label.merged_into_id is not None:
        label = session.get(Label, label.merged_into_id)
    return label.id if label is not None else None


def _end_of(label_id: int, merged: dict[int, int]) -> int:
    while label_id in merged:
        label_id = merged[label_id]
    return label_id


def valid_name(name: str) -> str:
    """Return the name without spaces around it, or say what is wrong with it."""
    name = name.strip()
    if not name:
        raise InvalidInput(_("A dataset needs a name."))
    if len(name) > MAX_NAME_CHARS:
        raise InvalidInput(
            _(
                "A dataset's name has at most %(max_name_chars)s characters; this one has %(name)s.",
                max_name_chars=MAX_NAME_CHARS,
                name=len(name),
            )
        )
    if not name.isprintable():
        raise InvalidInput(_("A dataset's name is one line of printable characters."))
    return name


def rename(session: Session, dataset_id: int, name: str, *, actor: Actor) -> Dataset:
    """Give a dataset another name; no two datasets may share one."""
    dataset = get(session, dataset_id)
    actor.require(Role.LEAD, dataset)
    name = valid_name(name)
    if name == dataset.name:
        return dataset
    if session.scalar(sa.select(Dataset.id).where(Dataset.name == name)):
        raise Conflict(_("There is already a dataset called %(name)s.", name=name))
    events.record(session, "dataset.renamed", actor=actor, dataset_id=dataset_id, old=dataset.name, new=name)
    dataset.name = name
    return dataset


def request_delete(session: Session, dataset_id: int, *, actor: Actor) -> None:
    """Hide a dataset at once and let a job delete it with everything in it.

    What waits for a worker is cancelled. What runs has somebody waiting for it, and at a provider it costs
    money: whoever deletes the dataset decides about that first.
    """
    dataset = get(session, dataset_id)
    actor.require(Role.ADMIN, dataset)
    _cancel_waiting(session, dataset, actor=actor)
    events.record(session, "dataset.deleted", actor=actor, dataset_id=dataset_id, old=dataset.name)
    # The name is free again at once; import_seq 0 hides the rows until the job has removed them.
    dataset.name = runs.deleted_name(dataset)
    dataset.import_seq = 0
    queue.enqueue(session, queue.Job.DELETE_DATASET, dataset_id)


def _cancel_waiting(session: Session, dataset: Dataset, *, actor: Actor) -> None:
    waiting: list[runs.AnyRun] = []
    for kind, what in BUSY.items():
        for run in runs.lock_open(session, kind, dataset.id):
            if run.state is RunState.RUNNING:
                raise Conflict(
                    _(
                        "%(dataset)s cannot be deleted while %(what)s: cancel that first.",
                        dataset=dataset.name,
                        what=_(what),
                    )
                )
            waiting.append(run)
    for run in waiting:
        runs.request_cancel(session, run, actor=actor)


def get_held(session: Session, dataset_id: int) -> Dataset:
    """Return the dataset, held as `hold` does."""
    held = hold(session, dataset_id)
    return held if held is not None and held.import_seq else get(session, dataset_id)


def hold(session: Session, dataset_id: int) -> Dataset | None:
    """Keep versions and publications out until this transaction ends; several holders may go on at once.

    Postgres gives out decision ids before they commit; without this a version could change after
    it was frozen. A dataset read before is read again and returned: a publication may have been waited for.
    SQLite has one writer, who has waited before reading anything, and nothing is returned.
    """
    if session.get_bind().dialect.name == "sqlite":
        return None
    return session.scalar(
        sa.select(Dataset)
        .where(Dataset.id == dataset_id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    )


def lock(session: Session, dataset_id: int) -> Dataset:
    """Wait for every holder, then keep them out until this transaction ends; return the fresh row."""
    dataset = session.scalar(
        sa.select(Dataset)
        .where(Dataset.id == dataset_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if dataset is None:
        raise NotFound(_("There is no dataset %(dataset_id)s.", dataset_id=dataset_id))
    return dataset
