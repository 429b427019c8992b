"""Exports: files of one version, with a manifest, and a preview of their first lines."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events, queue
from app.actor import Actor, Role
from app.errors import InvalidInput
from app.files.writing import EXPORT_FORMATS, ExportRow, WriteOptions, encode_rows
from app.models.columns import RunState
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState
from app.models.exports import Export, Variant
from app.models.people import User
from app.models.scoring import Score
from app.models.versions import Version
from app.services import datasets, imports, label_names, runs, versions
from app.services.versions import Frozen

CHUNK = 2000
MOST_COUNTED = 50_000
SPLITS = ("train", "test", "all")
CHAT_FORMATS = ("chat-jsonl", "completion-jsonl")


@dataclass(frozen=True)
class ExportChoices:
    """What a person chooses; `version_id` None freezes the present state first."""

    format: str = "chat-jsonl"
    variant: Variant = Variant.CORRECTED
    split: str = "train"
    version_id: int | None = None
    version_name: str | None = None
    guard_formulas: bool = False
    system_prompt: str | None = None
    separator: str = "\n\n###\n\n"


def request(session: Session, dataset_id: int, choices: ExportChoices, *, actor: Actor) -> Export:
    """Ask for a file; what it will hold is frozen now, whenever it is written."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.ANNOTATOR, dataset)
    _check(dataset, choices)
    version = _version(session, dataset, choices, actor=actor)
    if choices.variant is Variant.DROPPED and version.run_id is None:
        raise InvalidInput(
            f"Nothing was flagged in {dataset.name} at {version.name}: there is nothing to drop."
        )
    export = Export(
        dataset_id=dataset_id,
        version_id=version.id,
        format=choices.format,
        variant=choices.variant,
        split=choices.split,
        options={
            "guard_formulas": choices.guard_formulas,
            "system_prompt": choices.system_prompt,
            "separator": choices.separator,
        },
        total=datasets.counts(session, dataset_id).rows,
        created_by_id=actor.user_id,
    )
    session.add(export)
    session.flush()
    events.record(
        session,
        "export.requested",
        actor=actor,
        dataset_id=dataset_id,
        subject_id=export.id,
        new={
            "format": export.format,
            "variant": export.variant,
            "split": export.split,
            "version": version.name,
        },
    )
    queue.enqueue(session, queue.Job.EXPORT, export.id)
    return export


def _check(dataset: Dataset, choices: ExportChoices) -> None:
    if choices.format not in EXPORT_FORMATS:
        raise InvalidInput(f"{choices.format!r} is no export format; there are {', '.join(EXPORT_FORMATS)}.")
    if choices.split not in SPLITS:
        raise InvalidInput(f"{choices.split!r} is no split; there are {', '.join(SPLITS)}.")
    if choices.variant is Variant.DROPPED and dataset.current_run_id is None:
        raise InvalidInput(f"{dataset.name} has no scores yet, so there are no flagged rows to drop.")


def _version(session: Session, dataset: Dataset, choices: ExportChoices, *, actor: Actor) -> Version:
    if choices.version_id is not None:
        version = versions.get(session, choices.version_id)
        if version.dataset_id != dataset.id:
            raise InvalidInput(f"Version {choices.version_id} is not one of {dataset.name}.")
        return version
    return versions.create(session, dataset, name=choices.version_name, reason="export", actor=actor)


def get(session: Session, export_id: int) -> Export:
    """Return an export."""
    return runs.get(session, Export, export_id)


def list_exports(session: Session, dataset_id: int) -> list[Export]:
    """Return the exports of a dataset, newest first."""
    return list(
        session.scalars(
            sa.select(Export).where(Export.dataset_id == dataset_id).order_by(Export.id.desc()).limit(100)
        )
    )


def options_of(export: Export, metadata_columns: tuple[str, ...] = ()) -> WriteOptions:
    """Return how an export's rows are written."""
    return WriteOptions(metadata_columns=metadata_columns, **export.options)


def read_rows(
    session: Session,
    version: Version,
    *,
    variant: Variant,
    split: str,
    labelled_only: bool = False,
    on_left_out: Callable[[str], None] | None = None,
) -> Iterator[ExportRow]:
    """Yield the rows of a version as one variant has them, in the order in which they came.

    The session should be a snapshot: chunks are read one after the other. `on_left_out` is told the state of
    each row of the split that the variant leaves out.
    """
    dataset = session.get_one(Dataset, version.dataset_id)
    names = label_names.names_at(session, version)
    sources = label_names.source_names(session, dataset.id)
    for frozen in read_frozen(session, version):
        if split not in {"all", frozen.split}:
            continue
        row = _export_row(frozen, names, sources, variant)
        if belongs(frozen, variant) and not (labelled_only and row.label is None):
            yield row
        elif on_left_out:
            on_left_out(row.state)


def read_frozen(session: Session, version: Version) -> Iterator[Frozen]:
    """Yield every example of a version as it was; flagged ones are marked by `flagged_ids`."""
    last_id = 0
    while True:
        chunk = session.scalars(
            sa.select(Example)
            .where(
                Example.dataset_id == version.dataset_id,
                Example.import_seq <= version.import_seq,
                Example.id > last_id,
            )
            .order_by(Example.id)
            .limit(CHUNK)
        ).all()
        if not chunk:
            return
        flagged = flagged_ids(session, version, [example.id for example in chunk])
        for frozen in versions.freeze(session, version, chunk):
            yield frozen.marked(is_flagged=frozen.example.id in flagged)
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


def metadata_columns(session: Session, version: Version) -> tuple[str, ...]:
    """Return the metadata columns of a version's rows, in the order of the imports that brought them."""
    names: dict[str, None] = {}
    for import_ in imports.list_imports(session, version.dataset_id)[::-1]:
        if import_.state is RunState.DONE and import_.seq <= version.import_seq:
            names.update(dict.fromkeys(import_.columns.get("metadata") or ()))
    return tuple(names)


def sample_lines(session: Session, dataset: Dataset, choices: ExportChoices, *, lines: int = 5) -> str:
    """Return the first lines that an export with these choices would have now; Parquet shows as CSV."""
    _check(dataset, choices)
    now_version = Version(
        dataset_id=dataset.id,
        name="",
        decision_id=2**62,
        import_seq=dataset.import_seq,
        run_id=dataset.current_run_id,
    )
    rows = read_rows(
        session,
        now_version,
        variant=choices.variant,
        split=choices.split,
        labelled_only=choices.format in CHAT_FORMATS,
    )
    options = WriteOptions(
        guard_formulas=choices.guard_formulas,
        metadata_columns=metadata_columns(session, now_version),
        system_prompt=choices.system_prompt,
        separator=choices.separator,
    )
    shown = "csv" if choices.format == "parquet" else choices.format
    out = io.BytesIO()
    for block in encode_rows(islice(rows, lines), format=shown, options=options):
        out.write(block)
    return out.getvalue().decode("utf-8", "replace")


@dataclass(frozen=True)
class RowCount:
    """How many rows a file would have; of a large dataset only the most there can be."""

    rows: int
    is_exact: bool


def count_rows(session: Session, dataset: Dataset, choices: ExportChoices) -> RowCount:
    """Count the rows that an export with these choices would have now."""
    counts = datasets.counts(session, dataset.id)
    most = sum({"train": counts.train, "test": counts.test}[one] for one in _splits(choices))
    if most > MOST_COUNTED:
        return RowCount(most, is_exact=False)
    label_id = Example.label_id if choices.variant is Variant.CORRECTED else Example.given_label_id
    wanted = [
        Example.dataset_id == dataset.id,
        Example.import_seq <= dataset.import_seq,
        Example.split.in_(_splits(choices)),
    ]
    if choices.variant is Variant.CORRECTED or choices.format in CHAT_FORMATS:
        wanted.append(label_id.is_not(None))
    if choices.variant is not Variant.ORIGINAL:
        wanted.append(Example.state != ExampleState.EXCLUDED)
    if choices.variant is Variant.DROPPED:
        flagged = (Score.run_id == dataset.current_run_id) & (Score.example_id == Example.id)
        wanted.append(~sa.exists().where(flagged, Score.is_issue.is_(True)))
    found = session.scalar(sa.select(sa.func.count()).select_from(Example).where(*wanted))
    return RowCount(found or 0, is_exact=True)


def _splits(choices: ExportChoices) -> tuple[str, ...]:
    return ("train", "test") if choices.split == "all" else (choices.split,)


def manifest_of(session: Session, export: Export, facts: dict[str, Any]) -> dict[str, Any]:
    """Return what stands beside a file: where its rows come from, what was decided, and its hash."""
    version = versions.get(session, export.version_id)
    dataset = session.get_one(Dataset, export.dataset_id)
    return {
        "dataset": dataset.name,
        "version": version.name,
        "version_created_at": version.created_at.isoformat(),
        "created_by": session.get_one(User, export.created_by_id).name,
        "format": export.format,
        "variant": export.variant.value,
        "split": export.split,
        "settings": export.options,
        **facts,
    }


def finish(session: Session, export: Export, facts: dict[str, Any], *, path: str, actor: Actor) -> Export:
    """Mark a file as written."""
    fresh = runs.finish(session, export)
    fresh.path, fresh.rows, fresh.bytes, fresh.sha256 = path, facts["rows"], facts["bytes"], facts["sha256"]
    fresh.manifest = manifest_of(session, fresh, facts)
    fresh.done = fresh.total = fresh.rows
    events.record(
        session,
        "export.finished",
        actor=actor,
        dataset_id=fresh.dataset_id,
        subject_id=fresh.id,
        new={"rows": fresh.rows, "sha256": fresh.sha256},
    )
    return fresh
