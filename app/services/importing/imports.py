"""Imports: from an uploaded file to a confirmed job, and the report afterwards."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events, queue
from app.actor import Actor, Role
from app.db import now
from app.errors import Conflict, InvalidInput, NotFound
from app.files.guess import proposed_name
from app.files.reading import preview as preview_file
from app.files.rows import Columns, Layout, Limits, Preview
from app.languages import _
from app.models.columns import OPEN_STATES, RunState, Split
from app.models.datasets import Dataset
from app.models.imports import Import, RejectedRow
from app.models.predictions import PredictionPart
from app.models.scoring import ScoringRun
from app.services import datasets
from app.services.bounding import batches
from app.services.importing import filter_columns
from app.services.importing.staging import HOW_TO_UPDATE
from app.services.operation import runs


@dataclass(frozen=True)
class ImportChoices:
    """What a person confirms: where the rows go and which column is what."""

    dataset_name: str
    layout: Layout
    columns: Columns
    split: Split = Split.TRAIN
    update: bool = False
    allow_unlabelled: bool = False


def look(
    path: Path, *, file_name: str, limits: Limits, layout: Layout | None = None, actor: Actor
) -> Preview:
    """Look at an uploaded file before a transaction begins: nobody should have to wait for that."""
    actor.require_somewhere(Role.LEAD)
    return preview_file(path, name=file_name, limits=limits, layout=layout)


def add_upload(
    session: Session, seen: Preview, *, path: Path, file_name: str, size: int, sha256: str, actor: Actor
) -> Import:
    """Keep an uploaded file as a draft, with the layout and columns that were seen in it."""
    actor.require_somewhere(Role.LEAD)
    draft = Import(
        state=RunState.DRAFT,
        dataset_name=proposed_name(file_name),
        file_name=file_name,
        path=str(path),
        bytes=size,
        sha256=sha256,
        layout=seen.layout.to_json(),
        columns=seen.proposed.to_json(),
        created_by_id=actor.user_id,
    )
    session.add(draft)
    session.flush()
    return draft


def get(session: Session, import_id: int) -> Import:
    """Return an import."""
    return runs.get(session, Import, import_id)


def list_imports(
    session: Session, dataset_id: int, *, before_id: int | None = None, limit: int | None = None
) -> list[Import]:
    """Return the imports of a dataset, newest first; `before_id` continues an earlier page."""
    query = sa.select(Import).where(Import.dataset_id == dataset_id)
    if before_id is not None:
        query = query.where(Import.id < before_id)
    return list(session.scalars(query.order_by(Import.id.desc()).limit(limit)))


def list_open(session: Session) -> list[Import]:
    """Return the imports on their way, the oldest first."""
    return list(session.scalars(sa.select(Import).where(Import.state.in_(OPEN_STATES)).order_by(Import.id)))


def preview(
    session: Session, import_id: int, *, layout: Layout | None, columns: Columns | None, limits: Limits
) -> Preview:
    """Look at a draft's file again, read as `layout` says where it says something."""
    draft = get_draft(session, import_id)
    layout = layout or Layout.from_json(draft.layout)
    return _look_at(Path(draft.path), name=draft.file_name, limits=limits, layout=layout, columns=columns)


def _look_at(path: Path, *, name: str, limits: Limits, layout: Layout, columns: Columns | None) -> Preview:
    try:
        return preview_file(path, name=name, limits=limits, layout=layout, columns=columns)
    except (NotFound, FileNotFoundError):  # discarded, perhaps while it was read
        raise Conflict(
            _("The uploaded file of %(file_name)s is gone: upload it again.", file_name=name)
        ) from None


def check(path: Path, choices: ImportChoices, *, file_name: str, limits: Limits, actor: Actor) -> None:
    """Refuse choices by which a file cannot be read, before a transaction begins."""
    actor.require_somewhere(Role.LEAD)
    _refuse_unclear(choices)
    _look_at(path, name=file_name, limits=limits, layout=choices.layout, columns=choices.columns)


def _refuse_unclear(choices: ImportChoices) -> None:
    if choices.columns.text is None:
        raise InvalidInput(_("Choose the column that holds the text."))
    if choices.columns.label is None and not choices.allow_unlabelled:
        raise InvalidInput(_("Choose the column that holds the label, or allow rows without one."))


def confirm(session: Session, import_id: int, *, choices: ImportChoices, actor: Actor) -> Import:
    """Turn a draft into a job by choices that `check` has passed.

    A name that is not a dataset yet makes one; it shows once the file is in.
    """
    draft = _own_draft(session, import_id, actor=actor)
    _refuse_unclear(choices)
    dataset = _dataset_for(session, draft, choices, actor=actor)
    draft.dataset_id, draft.dataset_name = dataset.id, dataset.name
    draft.layout, draft.columns = choices.layout.to_json(), choices.columns.to_json()
    draft.split, draft.update = choices.split, choices.update
    draft.allow_unlabelled = choices.allow_unlabelled
    draft.seq = dataset.import_seq + 1
    draft.state, draft.created_by_id = RunState.QUEUED, actor.user_id
    events.record(
        session,
        "import.requested",
        actor=actor,
        dataset_id=dataset.id,
        subject_id=draft.id,
        new={"file": draft.file_name, "split": draft.split, "update": draft.update},
    )
    queue.enqueue(session, queue.Job.IMPORT, draft.id)
    return draft


def _dataset_for(session: Session, draft: Import, choices: ImportChoices, *, actor: Actor) -> Dataset:
    name = datasets.valid_name(choices.dataset_name)
    dataset = session.scalar(sa.select(Dataset).where(Dataset.name == name))
    if dataset is None:
        actor.require(Role.LEAD)
        dataset = Dataset(name=name, created_by_id=actor.user_id)
        session.add(dataset)
        session.flush()
        draft.creates_dataset = True
        return dataset
    actor.require(Role.LEAD, dataset)
    batches.refuse_while_labels_change(session, dataset)
    filter_columns.refuse_while_changing(session, dataset)
    if session.scalar(sa.select(Import.id).where(*runs.is_busy(Import, dataset.id)).limit(1)):
        raise Conflict(_("Another file is being imported into %(name)s: wait until it is in.", name=name))
    if dataset.import_seq == 0:
        draft.creates_dataset = True
    return dataset


def can_repeat(import_: Import) -> bool:
    """Say whether a failed import would work as an update; its file was kept for that."""
    failed = import_.state is RunState.FAILED and not import_.update
    return failed and may_work_as_update(import_.error or "") and Path(import_.path).is_file()


def may_work_as_update(error: str) -> bool:
    """Say whether an import failed for nothing but rows that were there already."""
    return error.endswith(HOW_TO_UPDATE)


def repeat(session: Session, import_id: int, *, actor: Actor) -> Import:
    """Make a draft of a failed import's file, whose rows may now update those that exist."""
    failed = get(session, import_id)
    actor.require(Role.LEAD, session.get(Dataset, failed.dataset_id) if failed.dataset_id else None)
    if not can_repeat(failed):
        raise Conflict(_("The file of %(file_name)s is gone; upload it again.", file_name=failed.file_name))
    draft = Import(
        state=RunState.DRAFT,
        dataset_name=failed.dataset_name,
        file_name=failed.file_name,
        path=failed.path,
        bytes=failed.bytes,
        sha256=failed.sha256,
        layout=failed.layout,
        columns=failed.columns,
        split=failed.split,
        update=True,
        allow_unlabelled=failed.allow_unlabelled,
        created_by_id=actor.user_id,
    )
    failed.path = ""  # one draft has the file
    session.add(draft)
    session.flush()
    return draft


def discard(session: Session, import_id: int, *, actor: Actor) -> Path:
    """Forget a draft; return the path of its file, for the caller to delete after the commit."""
    draft = _own_draft(session, import_id, actor=actor)
    draft.state, draft.finished_at = RunState.CANCELLED, now()
    return Path(draft.path)


def discard_stale(session: Session, *, before: dt.datetime) -> list[Path]:
    """Forget the drafts of uploads from before a moment; return their files, to delete after the commit."""
    is_stale = (Import.state == RunState.DRAFT, Import.created_at < before)
    stale = session.scalars(sa.select(Import).where(*is_stale).with_for_update()).all()
    for draft in stale:
        draft.state, draft.finished_at = RunState.CANCELLED, now()
    return [Path(draft.path) for draft in stale]


def named_files(session: Session) -> set[str]:
    """Return the names of all files that an import, a scoring run or one of its parts speaks of."""
    columns = (Import.path, ScoringRun.pred_probs_path, ScoringRun.embeddings_path, PredictionPart.path)
    return {Path(path).name for column in columns for path in session.scalars(sa.select(column)) if path}


def get_draft(session: Session, import_id: int) -> Import:
    """Return an import that waits to be confirmed."""
    draft = get(session, import_id)
    if draft.state is RunState.CANCELLED and draft.dataset_id is None:
        raise Conflict(_("%(file_name)s was discarded: upload it again.", file_name=draft.file_name))
    if draft.state is not RunState.DRAFT:
        raise Conflict(_("The import of %(file_name)s was confirmed already.", file_name=draft.file_name))
    return draft


def _own_draft(session: Session, import_id: int, *, actor: Actor) -> Import:
    draft = get_draft(session, import_id)
    actor.require_somewhere(Role.LEAD)
    if draft.created_by_id != actor.user_id:  # a lead of one dataset has no say over what others bring
        actor.require(Role.LEAD)
    return draft


def list_rejected(
    session: Session, import_id: int, *, after_line: int = 0, limit: int = 200
) -> list[RejectedRow]:
    """Return rows of a file that could not be used, in the order of their lines."""
    return list(
        session.scalars(
            sa.select(RejectedRow)
            .where(RejectedRow.import_id == import_id, RejectedRow.line > after_line)
            .order_by(RejectedRow.line)
            .limit(limit)
        )
    )
