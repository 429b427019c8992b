"""Rows of a version on their way out: which a variant has, and what is said of each."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.orm import Session, load_only

from app.files.exporting import Evidence
from app.files.writing import ExportRow
from app.models.columns import RunState, Split
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState
from app.models.exports import Variant
from app.models.scoring import Score
from app.models.versions import Version
from app.services.importing import imports
from app.services.labelling import label_names
from app.services.versioning import versions
from app.services.versioning.versions import Frozen

CHUNK = 2000
_USED = (
    Example.external_id,
    Example.split,
    Example.text,
    Example.text_hash,
    Example.source_label_id,
    Example.given_label_id,
    Example.label_id,
    Example.state,
    Example.details,
    Example.context,
)
"""What is read of each row: the rest would cost a tenth of the time."""


def read_rows(
    session: Session,
    version: Version,
    *,
    variant: Variant,
    split: str,
    labelled_only: bool = False,
    reviewed: bool = False,
    on_left_out: Callable[[str], None] | None = None,
    on_other_split: Callable[[ExportRow], None] | None = None,
) -> Iterator[ExportRow]:
    """Yield the rows of a version as one variant has them, in the order in which they came.

    The session should be a snapshot: chunks are read one after the other. `on_left_out` is told the state of
    each row of the split that the variant leaves out, `on_other_split` each row of the other split.
    `reviewed` gives every row as people have it before them: given labels by today's names, with evidence.
    """
    dataset = session.get_one(Dataset, version.dataset_id)
    names = label_names.names_at(session, version)
    sources = label_names.source_names(session, dataset.id)
    between = _ids_of_test(session, version, dataset) if split == "test" else None
    for frozen in read_frozen(session, version, with_evidence=reviewed, between=between):
        if split not in {"all", frozen.split}:
            if on_other_split:
                on_other_split(_export_row(frozen, names, sources, variant))
            continue
        if reviewed:
            yield _reviewed_row(frozen, names)
            continue
        row = _export_row(frozen, names, sources, variant)
        if belongs(frozen, variant) and not (labelled_only and row.label is None):
            yield row
        elif on_left_out:
            on_left_out(row.state)


def _ids_of_test(session: Session, version: Version, dataset: Dataset) -> tuple[int, int] | None:
    """Return the first and last id of the test rows: a few after a million others are found at once."""
    if version.import_seq != dataset.import_seq:  # a later file may have moved rows
        return None
    ids = sa.select(sa.func.min(Example.id), sa.func.max(Example.id)).where(
        Example.dataset_id == dataset.id, Example.split == Split.TEST
    )
    first, last = session.execute(ids).one()
    return (first or 0, last or 0)


def read_frozen(
    session: Session,
    version: Version,
    *,
    with_evidence: bool = False,
    between: tuple[int, int] | None = None,
) -> Iterator[Frozen]:
    """Yield every example of a version as it was; flagged ones are marked by `flagged_ids`.

    `between` are the first and last id of those that are wanted.
    """
    last_id = between[0] - 1 if between else 0
    bounds = [Example.id <= between[1]] if between else []
    while True:
        chunk = session.scalars(
            sa.select(Example)
            .where(
                Example.dataset_id == version.dataset_id,
                Example.import_seq <= version.import_seq,
                Example.id > last_id,
                *bounds,
            )
            .order_by(Example.id)
            .limit(CHUNK)
            .options(load_only(*_USED, raiseload=True))
        ).all()
        if not chunk:
            return
        ids = [example.id for example in chunk]
        flagged = flagged_ids(session, version, ids)
        scores = _scores(session, version, ids) if with_evidence else {}
        for frozen in versions.freeze(session, version, chunk):
            marked = frozen.marked(is_flagged=True) if frozen.example.id in flagged else frozen
            yield replace(marked, score=scores.get(frozen.example.id)) if scores else marked
        last_id = chunk[-1].id
        session.expunge_all()


def flagged_ids(session: Session, version: Version, ids: list[int]) -> set[int]:
    """Return which of these examples the version's run had flagged."""
    if version.run_id is None:
        return set()
    return set(
        session.scalars(
            sa.select(Score.example_id).where(
                Score.run_id == version.run_id, Score.example_id.in_(ids), Score.is_issue.is_(True)
            )
        )
    )


def _scores(session: Session, version: Version, ids: list[int]) -> dict[int, Score]:
    if version.run_id is None:
        return {}
    found = session.scalars(sa.select(Score).where(Score.run_id == version.run_id, Score.example_id.in_(ids)))
    return {score.example_id: score for score in found}


def belongs(frozen: Frozen, variant: Variant) -> bool:
    """Say whether a variant contains a row."""
    match variant:
        case Variant.ORIGINAL:
            return True
        case Variant.CORRECTED:
            return frozen.state is not ExampleState.EXCLUDED and frozen.label_id is not None
        case Variant.DROPPED:
            return not frozen.is_flagged and frozen.state is not ExampleState.EXCLUDED


def _export_row(
    frozen: Frozen, names: dict[int, str], sources: dict[int, str], variant: Variant
) -> ExportRow:
    given = sources.get(frozen.source_label_id) if frozen.source_label_id else None
    current = names.get(frozen.label_id) if frozen.label_id else None
    return ExportRow(
        id=frozen.example.external_id,
        text=frozen.text,
        label=current if variant is Variant.CORRECTED else given,
        given_label=given,
        split=frozen.split.value,
        state=frozen.state.value,
        metadata=frozen.details,
        context=frozen.context,
    )


def _reviewed_row(frozen: Frozen, names: dict[int, str]) -> ExportRow:
    score = frozen.score
    evidence = None
    if score is not None:
        suggested = names.get(score.suggested_label_id) if score.suggested_label_id else None
        evidence = Evidence(
            score.self_confidence, suggested, score.suggested_confidence, is_issue=frozen.is_flagged
        )
    return ExportRow(
        id=frozen.example.external_id,
        text=frozen.text,
        label=names.get(frozen.label_id) if frozen.label_id else None,
        given_label=names.get(frozen.given_label_id) if frozen.given_label_id else None,
        split=frozen.split.value,
        state=frozen.state.value,
        metadata=frozen.details,
        evidence=evidence,
    )


def metadata_columns(session: Session, version: Version) -> tuple[str, ...]:
    """Return the metadata columns of a version's rows, in the order of the imports that brought them."""
    names: dict[str, None] = {}
    for import_ in imports.list_imports(session, version.dataset_id)[::-1]:
        if import_.state is RunState.DONE and import_.seq <= version.import_seq:
            names.update(dict.fromkeys(import_.columns.get("metadata") or ()))
    return tuple(names)


def present(dataset: Dataset) -> Version:
    """Return the present state dressed as a version, for reading only."""
    return Version(
        dataset_id=dataset.id,
        name="",
        decision_id=2**62,
        import_seq=dataset.import_seq,
        run_id=dataset.current_run_id,
    )
