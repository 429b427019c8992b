"""Bringing a file from the terminal into a dataset."""

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.actor import LOCAL
from app.commands.session import Here, finish_job
from app.errors import InvalidInput, NotFound, TooLarge
from app.files.annotations import merge_annotations
from app.files.hf_members import zip_folder
from app.files.rows import SINGLE_ROLES, Columns, Layout, Preview
from app.models.columns import Split
from app.models.imports import Import
from app.services import datasets
from app.services.finding import brought
from app.services.importing import imports
from app.services.importing.imports import ImportChoices
from app.services.importing.limits import limits_of


@dataclass(frozen=True)
class Wanted:
    """What the command line says of a file; what is None is guessed."""

    columns: Columns = field(default_factory=lambda: Columns(text=None, label=None))
    layout: Layout = field(default_factory=lambda: Layout(""))
    split: Split = Split.TRAIN
    texts: Path | None = None
    without: tuple[str, ...] = ()  # metadata columns that are left out
    decisions: bool = True  # of a known tool are taken over
    update: bool = False
    allow_unlabelled: bool = False


def import_file(here: Here, file: Path, wanted: Wanted, *, dataset: str) -> Import:
    """Copy a file to the uploads, import it, and return the finished import."""
    name = datasets.valid_name(dataset)
    limits = limits_of(here.settings)
    upload = here.settings.uploads / f"{secrets.token_hex(16)}.upload"
    file_name = file.name
    try:
        _copy(file, upload, limits.max_file_bytes)
        if wanted.columns.annotator is not None:
            merge_annotations(
                file, wanted.texts, columns=wanted.columns, layout=wanted.layout, out=upload, limits=limits
            )
            merged = Columns(text="text", label="label", id="id")
            wanted, file_name = replace(wanted, columns=merged, layout=Layout("jsonl")), f"{file.name}.jsonl"
        run = _confirmed(here, upload, file_name, wanted, name)
    except BaseException:
        upload.unlink(missing_ok=True)
        raise
    return finish_job(here, run)


@contextmanager
def kept_copies(here: Here, **files: Path | None) -> Iterator[dict[str, str]]:
    """Copy files of arrays to the uploads and yield their paths; delete them if the rest is refused."""
    copies: dict[str, Path] = {}
    try:
        for name, file in files.items():
            if file is not None:
                suffix = brought.suffix_of(file.name)
                copies[name] = here.settings.uploads / f"{secrets.token_hex(16)}{suffix}"
                _copy(file, copies[name], here.settings.max_file_bytes)
        yield {name: str(copy) for name, copy in copies.items()}
    except BaseException:
        for copy in copies.values():
            copy.unlink(missing_ok=True)
        raise


def _copy(file: Path, upload: Path, max_bytes: int) -> None:
    # A job may be resumed hours later: it reads its own copy, whatever becomes of the user's file.
    if file.is_dir():
        zip_folder(file, upload, max_bytes=max_bytes)
        return
    if not file.is_file():
        raise NotFound(f"There is no file {file}.")
    size = file.stat().st_size
    if size > max_bytes:
        raise TooLarge(
            f"{file.name} has {size:,} bytes; the limit is {max_bytes:,} (SETRIGHT_MAX_FILE_BYTES)."
        )
    upload.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, upload)


def _confirmed(here: Here, upload: Path, file_name: str, wanted: Wanted, name: str) -> Import:
    limits = limits_of(here.settings)
    with upload.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    seen = imports.look(upload, file_name=file_name, limits=limits, layout=wanted.layout, actor=LOCAL)
    choices = ImportChoices(
        dataset_name=name,
        layout=seen.layout,
        columns=_columns(wanted, seen),
        split=wanted.split,
        update=wanted.update,
        allow_unlabelled=wanted.allow_unlabelled,
    )
    if choices.columns.text is None or choices.columns.label is None:
        raise InvalidInput(
            f"It is not clear which columns of {file_name} hold the text and the label: "
            "say --text and --label."
        )
    imports.check(upload, choices, file_name=file_name, limits=limits, actor=LOCAL)
    with here.database.write() as session:
        draft = imports.add_upload(
            session,
            seen,
            path=upload,
            file_name=file_name,
            size=upload.stat().st_size,
            sha256=digest,
            actor=LOCAL,
        )
        return imports.confirm(session, draft.id, choices=choices, actor=LOCAL)


def _columns(wanted: Wanted, seen: Preview) -> Columns:
    """Put what was said over what was guessed; ids and splits count only where they were said.

    A file of a known tool is taken as that tool means it, decisions too, unless something was said.
    """
    said, guess = wanted.columns, seen.guess
    if seen.recognised is not None and wanted.decisions and said == Columns(text=None, label=None):
        rest = tuple(name for name in seen.recognised.metadata if name not in wanted.without)
        return replace(seen.recognised, metadata=rest)
    named = {getattr(said, role) for role in SINGLE_ROLES}
    chosen = Columns(
        text=said.text or (guess.text if guess.text not in named else None),
        label=said.label or (guess.label if guess.label not in named else None),
        id=said.id,
        split=said.split,
        corrected_label=said.corrected_label,
        decision=said.decision,
        filterable=said.filterable,
    )
    taken = {*(getattr(chosen, role) for role in SINGLE_ROLES), *wanted.without}
    every = (guess.text, guess.label, guess.id, guess.split, guess.annotator, *guess.metadata)
    rest = tuple(name for name in every if name is not None and name not in taken)
    return replace(chosen, metadata=rest)
