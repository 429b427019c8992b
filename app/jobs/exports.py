"""Writing an export's file, what goes with it, and its manifest."""

import json
import os
import re
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from app.files.checking import VALIDATION, Checker
from app.files.drawing import Draw, Drawn
from app.files.faults import Checked, fault_lines
from app.files.prompts import asked_of, label_text
from app.files.writing import REVIEWED_FORMATS, ExportRow, WriteOptions, Written, extension, write_rows
from app.jobs.context import Context, Reporter
from app.jobs.durable import step, workflow
from app.models.datasets import Dataset
from app.models.examples import ExampleState
from app.models.exports import Export
from app.models.versions import Version
from app.queue import Job
from app.services.operation import runs
from app.services.tuning import exports


@dataclass(frozen=True)
class _Tallies:
    """What the manifest says of the rows."""

    labels: Tally[str] = field(default_factory=Tally)
    states: Tally[str] = field(default_factory=Tally)
    left_out: Tally[str] = field(default_factory=Tally)


@dataclass(frozen=True)
class _Work:
    """One export on its way: where its rows come from and how they are written."""

    session: Session
    version: Version
    export: Export
    options: WriteOptions
    path: Path
    report: Reporter
    tallies: _Tallies = field(default_factory=_Tallies)

    def rows(self, on_other_split: Callable[[ExportRow], None] | None = None) -> Iterator[ExportRow]:
        """Read the rows from the start."""
        self.tallies.left_out.clear()
        return exports.read_rows(
            self.session,
            self.version,
            variant=self.export.variant,
            split=self.export.split,
            labelled_only=self.export.format in exports.CHAT_FORMATS,
            reviewed=self.export.format in REVIEWED_FORMATS,
            on_left_out=lambda state: self.tallies.left_out.update([state]),
            on_other_split=on_other_split,
        )

    def write(self, rows: Iterator[ExportRow], path: Path) -> Written:
        """Write rows under another name, then move the finished file into place."""
        # A name of this attempt: an overtaken worker may still be writing its own.
        draft = path.with_suffix(f".{self.export.attempt}.part")
        with _writing(draft) as out:
            written = write_rows(rows, out, format=self.export.format, options=self.options)
        draft.replace(path)
        return written


@workflow(Job.EXPORT, Export)
def write_export(export_id: int) -> None:
    """Write an export."""
    write(export_id)


@step(Export, "export.write")
def write(context: Context, export: Export) -> None:
    """Write the rows from one snapshot."""
    folder = context.settings.exports / str(export.id)
    folder.mkdir(parents=True, exist_ok=True)
    report = Reporter(context, export)
    with context.database.read(snapshot=True) as session:
        actor = runs.requester(session, export)
        version = session.get_one(Version, export.version_id)
        path = folder / _file_name(session.get_one(Dataset, export.dataset_id), version, export)
        options = exports.written_options(session, export)
        work = _Work(session, version, export, options, path, report)
        facts = _checked(work) if export.format in exports.CHAT_FORMATS else _plain(work)
    tallies = work.tallies
    facts |= {
        "labels": dict(sorted(tallies.labels.items())),
        "decisions": {state.value: tallies.states[state.value] for state in ExampleState},
        "left_out": {state.value: tallies.left_out[state.value] for state in ExampleState},
    }
    with context.database.write() as session:
        done = exports.finish(session, export, facts, path=str(path), actor=actor)
        manifest = json.dumps(done.manifest, indent=2, ensure_ascii=True, sort_keys=True)
        Path(f"{path}.manifest.json").write_text(manifest + "\n", encoding="utf-8")


def _plain(work: _Work) -> dict[str, Any]:
    return _facts(work.write(_counted(work, work.rows()), work.path))


def _checked(work: _Work) -> dict[str, Any]:
    """Write a file for fine-tuning, look at each of its rows as a service would, and list the faults."""
    checker = Checker(work.options, format=work.export.format)
    drawn = _drawn(work)
    others = checker.add_test_row if work.export.split == "train" else None
    training = (
        row for row in work.rows(others) if drawn is None or not drawn.has(asked_of(row, work.options))
    )
    written = work.write(_counted(work, checker.watch(training)), work.path)
    facts = _facts(written)
    if drawn is not None:
        facts["validation"] = _facts(_write_validation(work, checker, drawn))
    found = checker.finish(bytes_=written.bytes)
    _list_faults(work, found)
    return facts | {"check": found.summary()}


def _drawn(work: _Work) -> Drawn | None:
    percent = work.export.options.get("validation_percent", 0)
    if not percent:
        return None
    draw = Draw()
    for number, row in enumerate(work.rows(), start=1):
        draw.add(asked_of(row, work.options), label_text(row, work.options))
        _tell(work, "drawing", number)
    return draw.drawn(percent=percent, seed=work.export.options["seed"])


def _write_validation(work: _Work, checker: Checker, drawn: Drawn) -> Written:
    rows = (row for row in work.rows() if drawn.has(asked_of(row, work.options)))
    return work.write(checker.watch(rows, file=VALIDATION), work.path.with_suffix(".validation.jsonl"))


def _list_faults(work: _Work, found: Checked) -> None:
    draft = work.path.with_suffix(f".{work.export.attempt}.part")
    with _writing(draft) as out:
        for line in fault_lines(found.faults):
            out.write(line.encode("utf-8", "backslashreplace"))
    draft.replace(f"{work.path}.faults.csv")


def _facts(written: Written) -> dict[str, Any]:
    return {"rows": written.rows, "bytes": written.bytes, "sha256": written.sha256}


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


def _counted(work: _Work, rows: Iterator[ExportRow]) -> Iterator[ExportRow]:
    for number, row in enumerate(rows, start=1):
        work.tallies.labels[row.label or ""] += 1
        work.tallies.states[row.state] += 1
        _tell(work, "writing", number)
        yield row


def _tell(work: _Work, phase: str, number: int) -> None:
    if number % 1000 == 0:
        work.report(phase, number, max(work.export.total, number + 1))


def _file_name(dataset: Dataset, version: Version, export: Export) -> str:
    words = f"{dataset.name}-{version.name}-{export.variant}-{export.split}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", words).strip("-.")[:120] + extension(export.format)
