"""Exports: files of one version, with a manifest, and a preview of their first lines."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import Actor, Role
from app.errors import InvalidInput
from app.files.drawing import MOST_PERCENT
from app.files.writing import EXPORT_FORMATS, REVIEWED_FORMATS, WriteOptions, encode_rows
from app.languages import _
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState
from app.models.exports import Export, Variant
from app.models.people import User
from app.models.scoring import Score
from app.models.versions import Version
from app.services import datasets
from app.services.labelling import label_names
from app.services.operation import runs
from app.services.together import blind
from app.services.tuning.export_rows import (
    belongs,
    flagged_ids,
    metadata_columns,
    present,
    read_frozen,
    read_rows,
)
from app.services.versioning import versions

__all__ = ["belongs", "flagged_ids", "metadata_columns", "present", "read_frozen", "read_rows"]

MOST_COUNTED = 50_000
SPLITS = ("train", "test", "all")
CHAT_FORMATS = ("chat-jsonl", "completion-jsonl")
BINARY_FORMATS = ("parquet", "hf-datasets")
OF_DRAWING = ("validation_percent", "seed")
MAX_PROMPT_CHARS = 20_000
MAX_CODE_CHARS = 100
MAX_SEED = 2**31


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
    template: str = "{text}"
    label_codes: Mapping[str, str] = field(default_factory=dict)
    number_labels: bool = False
    """Short codes for all labels that have none: their numbers, in the order of the labels."""
    validation_percent: int = 0
    seed: int = 0


def request(session: Session, dataset_id: int, choices: ExportChoices, *, actor: Actor) -> Export:
    """Ask for a file; what it will hold is frozen now, whenever it is written."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.ANNOTATOR, dataset)
    blind.refuse_export(session, dataset, actor=actor)
    check_choices(dataset, choices)
    version = _version(session, dataset, choices, actor=actor)
    options = options_for(session, version, choices)
    if choices.variant is Variant.DROPPED and version.run_id is None:
        raise InvalidInput(
            _(
                "Nothing was flagged in %(dataset)s at %(version)s: there is nothing to drop.",
                dataset=dataset.name,
                version=version.name,
            )
        )
    export = Export(
        dataset_id=dataset_id,
        version_id=version.id,
        format=choices.format,
        variant=choices.variant,
        split=choices.split,
        options={
            "guard_formulas": options.guard_formulas,
            "system_prompt": options.system_prompt,
            "separator": options.separator,
            "template": options.template,
            "label_codes": dict(options.label_codes),
            "validation_percent": choices.validation_percent,
            "seed": choices.seed,
        },
        total=datasets.counts(session, dataset_id).rows,
        created_by_id=actor.user_id,
    )
    said = {"format": export.format, "variant": export.variant, "split": export.split}
    return runs.ask(session, export, new={**said, "version": version.name}, actor=actor)


def check_choices(dataset: Dataset, choices: ExportChoices) -> None:
    """Refuse what no file can be written by."""
    if choices.format not in EXPORT_FORMATS:
        raise InvalidInput(
            _(
                "%(format)r is no export format; there are %(export_formats)s.",
                format=choices.format,
                export_formats=", ".join(EXPORT_FORMATS),
            )
        )
    if choices.split not in SPLITS:
        raise InvalidInput(
            _("%(split)r is no split; there are %(splits)s.", split=choices.split, splits=", ".join(SPLITS))
        )
    if choices.variant is Variant.DROPPED and dataset.current_run_id is None:
        raise InvalidInput(
            _("%(dataset)s has no scores yet, so there are no flagged rows to drop.", dataset=dataset.name)
        )
    if choices.format in REVIEWED_FORMATS and choices.variant is not Variant.CORRECTED:
        raise InvalidInput(
            _(
                "%(format)s holds every row with the given and the corrected label: choose the "
                "variant corrected.",
                format=choices.format,
            )
        )
    _check_prompts(choices)


def _check_prompts(choices: ExportChoices) -> None:
    if "{text}" not in choices.template:
        raise InvalidInput(_("The template must say where the text goes: write {text} there."))
    if max(map(len, (choices.template, choices.system_prompt or "", choices.separator))) > MAX_PROMPT_CHARS:
        raise InvalidInput(
            _(
                "A prompt, template or separator has at most %(max_prompt_chars)s characters.",
                max_prompt_chars=f"{MAX_PROMPT_CHARS:,}",
            )
        )
    if not 0 <= choices.validation_percent <= MOST_PERCENT:
        raise InvalidInput(
            _(
                "At most %(most_percent)s%% of the rows can be for validation, and none below 0.",
                most_percent=MOST_PERCENT,
            )
        )
    if choices.validation_percent and choices.format not in CHAT_FORMATS:
        raise InvalidInput(
            _(
                "Rows for validation are drawn for %(chat_formats)s only.",
                chat_formats=" and ".join(CHAT_FORMATS),
            )
        )
    if not 0 <= choices.seed < MAX_SEED:
        raise InvalidInput(_("A seed is a number from 0 to %(max_seed)s.", max_seed=f"{MAX_SEED - 1:,}"))


def options_for(session: Session, version: Version, choices: ExportChoices) -> WriteOptions:
    """Return how rows are written by these choices, every label's code among it."""
    labels = label_names.words_of(session, version, as_given=choices.variant is not Variant.CORRECTED)
    for label, code in choices.label_codes.items():
        if label not in labels:
            raise InvalidInput(_("There is no label %(label)r to give a code to.", label=label))
        if not code.strip() or len(code) > MAX_CODE_CHARS:
            raise InvalidInput(
                _(
                    "The code of the label %(label)r must have 1 to %(max_code_chars)s characters.",
                    label=label,
                    max_code_chars=MAX_CODE_CHARS,
                )
            )
    codes = {label: str(number) for number, label in enumerate(labels, start=1)}
    return WriteOptions(
        guard_formulas=choices.guard_formulas,
        metadata_columns=metadata_columns(session, version),
        system_prompt=choices.system_prompt,
        separator=choices.separator,
        template=choices.template,
        label_codes=(codes if choices.number_labels else {}) | dict(choices.label_codes),
        labels=labels,
    )


def _version(session: Session, dataset: Dataset, choices: ExportChoices, *, actor: Actor) -> Version:
    if choices.version_id is not None:
        version = versions.get(session, choices.version_id)
        if version.dataset_id != dataset.id:
            raise InvalidInput(
                _(
                    "Version %(version_id)s is not one of %(dataset)s.",
                    version_id=choices.version_id,
                    dataset=dataset.name,
                )
            )
        return version
    return versions.create(session, dataset, name=choices.version_name, reason="export", actor=actor)


def get(session: Session, export_id: int) -> Export:
    """Return an export."""
    return runs.get(session, Export, export_id)


def list_exports(
    session: Session, dataset_id: int, *, before_id: int | None = None, limit: int = 100
) -> list[Export]:
    """Return the exports of a dataset, newest first; `before_id` continues an earlier page."""
    query = sa.select(Export).where(Export.dataset_id == dataset_id)
    if before_id is not None:
        query = query.where(Export.id < before_id)
    return list(session.scalars(query.order_by(Export.id.desc()).limit(limit)))


def options_of(
    export: Export, metadata_columns: tuple[str, ...] = (), labels: tuple[str, ...] = ()
) -> WriteOptions:
    """Return how an export's rows are written."""
    kept = {name: value for name, value in export.options.items() if name not in OF_DRAWING}
    return WriteOptions(metadata_columns=metadata_columns, labels=labels, **kept)


def written_options(session: Session, export: Export) -> WriteOptions:
    """Return how an export's rows are written, with what its version knows of columns and labels."""
    version = versions.get(session, export.version_id)
    labels = label_names.words_of(session, version, as_given=export.variant is not Variant.CORRECTED)
    return options_of(export, metadata_columns(session, version), labels)


def sample_lines(session: Session, dataset: Dataset, choices: ExportChoices, *, lines: int = 5) -> str:
    """Return the first lines that an export with these choices would have now; binary ones show as CSV."""
    check_choices(dataset, choices)
    now_version = present(dataset)
    rows = read_rows(
        session,
        now_version,
        variant=choices.variant,
        split=choices.split,
        labelled_only=choices.format in CHAT_FORMATS,
        reviewed=choices.format in REVIEWED_FORMATS,
    )
    options = options_for(session, now_version, choices)
    shown = "csv" if choices.format in BINARY_FORMATS else choices.format
    out = io.BytesIO()
    for block in encode_rows(islice(rows, lines), format=shown, options=options):
        out.write(block)
    return out.getvalue().decode("utf-8", "replace")


def require_streamable(session: Session, dataset: Dataset, choices: ExportChoices, *, actor: Actor) -> None:
    """Raise what would end a stream before its first byte."""
    actor.require(Role.ANNOTATOR, dataset)
    blind.refuse_export(session, dataset, actor=actor)
    check_choices(dataset, choices)
    options_for(session, version_to_read(session, dataset, choices), choices)
    if choices.validation_percent:
        raise InvalidInput(_("Rows for validation come as a second file: have the file written instead."))


def stream(session: Session, dataset: Dataset, choices: ExportChoices) -> Iterator[bytes]:
    """Yield a file of a version, or of the present labels, as it is read; nothing is frozen or kept."""
    version = version_to_read(session, dataset, choices)
    rows = read_rows(
        session,
        version,
        variant=choices.variant,
        split=choices.split,
        labelled_only=choices.format in CHAT_FORMATS,
        reviewed=choices.format in REVIEWED_FORMATS,
    )
    yield from encode_rows(rows, format=choices.format, options=options_for(session, version, choices))


def version_to_read(session: Session, dataset: Dataset, choices: ExportChoices) -> Version:
    """Return the version that was chosen, or the present state dressed as one."""
    if choices.version_id is None:
        return present(dataset)
    return versions.of_dataset(session, dataset, choices.version_id)


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
    if choices.format in REVIEWED_FORMATS:
        return RowCount(most, is_exact=True)
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
