"""Writing an export's file and its manifest."""

import json
import os
import re
from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from app.files.writing import ExportRow, extension, write_rows
from app.jobs.context import Context, Reporter
from app.jobs.durable import step, workflow
from app.models.datasets import Dataset
from app.models.examples import ExampleState
from app.models.exports import Export
from app.models.versions import Version
from app.queue import Job
from app.services import exports, runs


@workflow(Job.EXPORT, Export)
def write_export(export_id: int) -> None:
    """Write an export."""
    write(export_id)


@step(Export, "export.write")
def write(context: Context, export: Export) -> None:
    """Write the rows from one snapshot under another name, then move the finished file into place."""
    folder = context.settings.exports / str(export.id)
    folder.mkdir(parents=True, exist_ok=True)
    report = Reporter(context, export)
    tally: dict[str, Tally[str]] = {"labels": Tally(), "states": Tally(), "left_out": Tally()}
    with context.database.read(snapshot=True) as session:
        actor = runs.requester(session, export)
        version = session.get_one(Version, export.version_id)
        path = folder / _file_name(session.get_one(Dataset, export.dataset_id), version, export)
        # A name of this attempt: an overtaken worker may still be writing its own.
        draft = path.with_suffix(f".{export.attempt}.part")
        rows = exports.read_rows(
            session,
            version,
            variant=export.variant,
            split=export.split,
            labelled_only=export.format in exports.CHAT_FORMATS,
            on_left_out=lambda state: tally["left_out"].update([state]),
        )
        options = exports.options_of(export, exports.metadata_columns(session, version))
        with _writing(draft) as out:
            counted = _counted(rows, tally, report, export.total)
            written = write_rows(counted, out, format=export.format, options=options)
    draft.replace(path)
    facts: dict[str, Any] = {
        "rows": written.rows,
        "bytes": written.bytes,
        "sha256": written.sha256,
        "labels": dict(sorted(tally["labels"].items())),
        "decisions": {state.value: tally["states"][state.value] for state in ExampleState},
        "left_out": {state.value: tally["left_out"][state.value] for state in ExampleState},
    }
    with context.database.write() as session:
        done = exports.finish(session, export, facts, path=str(path), actor=actor)
        manifest = json.dumps(done.manifest, indent=2, ensure_ascii=True, sort_keys=True)
        Path(f"{path}.manifest.json").write_text(manifest + "\n", encoding="utf-8")


@contextmanager
def _writing(draft: Path) -> Iterator[BinaryIO]:
    """Write a file safely to disk; what is not finished does not stay."""
    try:
        with draft.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _counted(
    rows: Iterator[ExportRow], tally: dict[str, Tally[str]], report: Reporter, total: int
) -> Iterator[ExportRow]:
    for number, row in enumerate(rows, start=1):
        tally["labels"][row.label or ""] += 1
        tally["states"][row.state] += 1
        if number % 1000 == 0:
            report("writing", number, max(total, number + 1))
        yield row


def _file_name(dataset: Dataset, version: Version, export: Export) -> str:
    words = f"{dataset.name}-{version.name}-{export.variant}-{export.split}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", words).strip("-.")[:120] + extension(export.format)
