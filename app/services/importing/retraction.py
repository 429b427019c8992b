"""Taking an import back that did not make it: changes, rows and labels, without a trace.

Rows that it added are out of sight and just go. Changes to rows that were there are in sight from the moment
they are applied: each is undone by the values noted with it, but for what a person has decided since.
"""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models.columns import RunState, Split
from app.models.datasets import Dataset, Label
from app.models.examples import Example, text_hash
from app.models.imports import Import, ImportMatch
from app.models.scoring import Score
from app.services import datasets
from app.services.importing import metadata
from app.services.importing.publishing import CHUNK, standing_of
from app.services.operation import runs
from app.services.ranking import search
from app.services.ranking.counting import Sums


def take_back(session: Session, import_id: int) -> int:
    """Take back the next chunk of an import; return how many rows that were."""
    import_ = session.get_one(Import, import_id, with_for_update=True)
    if import_.dataset_id is None or not _is_to_take_back(import_):
        return 0  # taken back already: its number may be the next import's by now
    return _undo_changes(session, import_) or _delete_rows(session, import_)


def _is_to_take_back(import_: Import) -> bool:
    return import_.state.is_open or runs.is_clearing_up(import_)


def _undo_changes(session: Session, import_: Import) -> int:
    datasets.hold(session, import_.dataset_id or 0)
    dataset = session.get_one(Dataset, import_.dataset_id)
    found = session.execute(
        sa.select(ImportMatch, Example, Score)
        .join(Example, Example.id == ImportMatch.example_id)
        .outerjoin(Score, (Score.run_id == (dataset.current_run_id or 0)) & (Score.example_id == Example.id))
        .where(ImportMatch.import_id == import_.id, ImportMatch.applied.is_(True))
        .order_by(ImportMatch.example_id)
        .limit(CHUNK)
        .with_for_update(of=Example)
    ).all()
    sums = Sums()
    for match, example, score in found:
        before = standing_of(example, score)
        _undo(match, example, score)
        sums.move(before, standing_of(example, score))
        _keep_label(session, example, dataset)
    renewed = [example for match, example, _ in found if {"text", "details"} & (match.old or {}).keys()]
    search.renew(session, [(example.id, example.text) for example in renewed])
    metadata.renew(session, dataset.id, [(example.id, example.details) for example in renewed])
    sums.save(session, dataset.id)
    return len(found)


def _undo(match: ImportMatch, example: Example, score: Score | None) -> None:
    old: dict[str, Any] = {**(match.old or {})}
    if "given_label_id" in old:
        _take_label_back(example, old)
    if "split" in old:
        example.split = Split(old["split"])
    if "text" in old:
        example.text, example.text_hash = old["text"], text_hash(old["text"])
    for name in ("details", "context"):
        if name in old:
            setattr(example, name, old[name])
    example.version += 1
    match.applied = False
    if score is not None:
        score.split, score.given_label_id = example.split, example.given_label_id


def _take_label_back(example: Example, old: dict[str, Any]) -> None:
    if not example.state.is_resolved and example.label_id == example.given_label_id:
        example.label_id = old.get("label_id", example.label_id)
    # What the file says, and what that is called today, if a merge or split came in between.
    example.source_label_id, example.given_label_id = old["given_label_id"], old["class_id"]


def _keep_label(session: Session, example: Example, dataset: Dataset) -> None:
    """Let a label stay that only this import brought, where a person has decided for it meanwhile."""
    label = session.get(Label, example.label_id) if example.label_id is not None else None
    if label is not None and label.import_seq > dataset.import_seq:
        label.import_seq = dataset.import_seq


def _delete_rows(session: Session, import_: Import) -> int:
    hidden = (Example.dataset_id == import_.dataset_id, Example.import_seq == import_.seq)
    doomed = session.scalars(sa.select(Example.id).where(*hidden).limit(CHUNK)).all()
    if doomed:
        session.execute(
            sa.delete(Example).where(Example.id.in_(doomed)).execution_options(synchronize_session=False)
        )
    return len(doomed)


def forget(session: Session, import_id: int, *, state: RunState, error: str) -> Path:
    """Finish taking back: labels, matches and a dataset that only this import would have made.

    The file's path is returned, for the caller to delete after the commit.
    """
    import_ = session.get_one(Import, import_id, with_for_update=True)
    if not _is_to_take_back(import_):
        return Path(import_.path)
    dataset_id, seq = import_.dataset_id, import_.seq
    session.execute(sa.delete(ImportMatch).where(ImportMatch.import_id == import_id))
    if dataset_id is not None:
        session.execute(sa.delete(Label).where(Label.dataset_id == dataset_id, Label.import_seq == seq))
    runs.end(session, Import, import_id, state=state, error=error)
    runs.cleared_up(session, Import, import_id)
    import_.rows_new = import_.rows_changed = import_.rows_same = import_.words_left = 0
    runs.drop_unseen_dataset(session, import_)
    return Path(import_.path)
