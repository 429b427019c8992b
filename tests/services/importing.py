"""Imports without a worker: the services in the order in which the job calls them."""

import hashlib
import json
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from app.actor import LOCAL
from app.db import Database
from app.files.reading import read_rows
from app.files.rows import Columns, Layout, Limits, Rejected, Row
from app.models import Import
from app.models.columns import RunState
from app.services.importing import imports, publishing, retraction, staging
from app.services.importing.imports import ImportChoices
from app.services.importing.staging import Bounds, NumberedRow
from app.services.operation import runs

WIDE = Bounds(max_classes=1000, max_rejected=1000)
PLAIN = Columns(text="text", label="label")
WITH_ID = Columns(text="text", label="label", id="id")


def write_jsonl(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows to a new file."""
    path = folder / f"{uuid4().hex}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def add_draft(database: Database, path: Path, *, name: str = "rows.jsonl") -> int:
    """Upload a file."""
    content = path.read_bytes()
    seen = imports.look(path, file_name=name, limits=Limits(), actor=LOCAL)
    with database.write() as session:
        draft = imports.add_upload(
            session,
            seen,
            path=path,
            file_name=name,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            actor=LOCAL,
        )
        return draft.id


def choices_of(**changes: Any) -> ImportChoices:
    """Return what a person confirms, for JSON Lines with the columns text and label."""
    usual: dict[str, Any] = {"dataset_name": "Tickets", "layout": Layout("jsonl", encoding="utf-8")}
    return ImportChoices(**{**usual, "columns": PLAIN, **changes})


def confirm(database: Database, path: Path, **changes: Any) -> int:
    """Upload a file and confirm it; return the import's id."""
    choices = choices_of(**changes)
    import_id = add_draft(database, path)
    imports.check(path, choices, file_name="rows.jsonl", limits=Limits(), actor=LOCAL)
    with database.write() as session:
        imports.confirm(session, import_id, choices=choices, actor=LOCAL)
    return import_id


def begun(database: Database, import_id: int) -> Import:
    """Take the import as a worker does at the start of each step."""
    with database.write() as session:
        import_ = runs.begin(session, Import, import_id)
    assert import_ is not None
    return import_


def stage(database: Database, import_id: int, *, chunk: int = 3, bounds: Bounds = WIDE) -> None:
    """Store a file's rows in small chunks, so that chunk borders fall between any two rows."""
    import_ = begun(database, import_id)
    found = read_rows(
        Path(import_.path),
        Layout.from_json(import_.layout),
        Columns.from_json(import_.columns),
        limits=Limits(),
        allow_unlabelled=import_.allow_unlabelled,
    )
    numbered = enumerate(found, start=1)
    while part := list(islice(numbered, chunk)):
        rows = [NumberedRow(number, one) for number, one in part if isinstance(one, Row)]
        refused = [one for _, one in part if isinstance(one, Rejected)]
        with database.write() as session:
            staging.store_chunk(session, import_, rows, refused, last_line=part[-1][1].line, bounds=bounds)


def publish(database: Database, import_id: int) -> None:
    """Show the rows of a staged import."""
    import_ = begun(database, import_id)
    with database.read() as session:
        publishing.check_has_rows(session, import_)
        sums = publishing.sums_of_new_rows(session, import_)
        missing = publishing.count_missing(session, import_)
    with database.write() as session:
        publishing.freeze_before(session, import_, actor=LOCAL)
    applied = 1
    while applied:
        with database.write() as session:
            applied = publishing.apply_changes(session, import_)
    with database.write() as session:
        publishing.publish(session, import_, sums, missing, actor=LOCAL)


def give_up(database: Database, import_id: int, *, error: str = "It went wrong.") -> None:
    """Take an import back."""
    taken = 1
    while taken:
        with database.write() as session:
            taken = retraction.take_back(session, import_id)
    with database.write() as session:
        retraction.forget(session, import_id, state=RunState.FAILED, error=error)


def import_rows(database: Database, folder: Path, rows: list[dict[str, Any]], **changes: Any) -> Import:
    """Import rows; return the finished import."""
    import_id = confirm(database, write_jsonl(folder, rows), **changes)
    stage(database, import_id)
    publish(database, import_id)
    with database.read() as session:
        return imports.get(session, import_id)


def numbers(import_: Import) -> dict[str, int]:
    """Return an import's report."""
    return {
        name: getattr(import_, f"rows_{name}")
        for name in ("read", "new", "changed", "same", "missing", "rejected")
    }
