"""The import of a file: store its rows unseen, then show them all at once."""

from contextlib import suppress
from itertools import islice
from pathlib import Path

from app.errors import DiskFull, InvalidInput
from app.files.annotations import MERGED, merge_annotations
from app.files.reading import read_rows
from app.files.rows import Columns, Layout, Limits, Rejected, Row
from app.jobs import drawing
from app.jobs.context import Context, Reporter
from app.jobs.durable import step, workflow
from app.jobs.pace import Pace
from app.models.columns import RunState
from app.models.imports import Import
from app.queue import Job
from app.services.importing import metadata, publishing, retraction, staging
from app.services.importing.imports import may_work_as_update
from app.services.importing.limits import limits_of
from app.services.importing.staging import Bounds, NumberedRow
from app.services.operation import runs
from app.services.proving import test_split

CHUNK = 1000


def _give_up(context: Context, import_id: int, state: RunState, error: str) -> None:
    try:
        _take_back(context, import_id, state, error)
    except DiskFull:  # its own upload gives the room that taking it back needs
        with context.database.read() as session:
            _delete(Path(session.get_one(Import, import_id).path))
        _take_back(context, import_id, state, error)


def _take_back(context: Context, import_id: int, state: RunState, error: str) -> None:
    while True:
        with context.database.write() as session:
            if not retraction.take_back(session, import_id):
                break
        context.pause()
    with context.database.write() as session:
        path = retraction.forget(session, import_id, state=state, error=error)
    if state is not RunState.FAILED or not may_work_as_update(error):  # that file may be asked for again
        _delete(path)


@workflow(Job.IMPORT, Import, give_up=_give_up)
def import_file(import_id: int) -> None:
    """Import a confirmed file."""
    stage(import_id)
    publish(import_id)


@step(Import, "import.stage")
def stage(context: Context, import_: Import) -> None:
    """Store the rows that are not stored yet: a restart goes on behind the last stored line."""
    report = Reporter(context, import_)
    if test_split.DRAW in import_.layout:
        drawing.stage(context, import_, report)
        return
    settings = context.settings
    bounds = Bounds(settings.max_classes, settings.max_rejected, settings.indexed_rows)
    read = 0

    def on_bytes(count: int) -> None:
        nonlocal read
        read = count

    path = Path(import_.path)
    if not path.exists():
        raise InvalidInput(f"The uploaded file of {import_.file_name} is gone; upload it again.")
    limits = limits_of(context.settings)
    layout, columns = Layout.from_json(import_.layout), Columns.from_json(import_.columns)
    if columns.annotator is not None:
        path, layout, columns = _merged(path, layout, columns, limits, name=import_.file_name)
    found = read_rows(
        path,
        layout,
        columns,
        limits=limits,
        allow_unlabelled=import_.allow_unlabelled,
        on_bytes=on_bytes,
        name=import_.file_name,
    )
    numbered = islice(enumerate(found, start=1), import_.rows_read, None)
    pace = Pace(context, CHUNK, gives_way=True)
    while chunk := list(islice(numbered, pace.size)):
        rows = [NumberedRow(number, one) for number, one in chunk if isinstance(one, Row)]
        refused = [one for _, one in chunk if isinstance(one, Rejected)]
        with pace.writing() as session:
            staging.store_chunk(session, import_, rows, refused, last_line=chunk[-1][1].line, bounds=bounds)
        report("reading", min(read, import_.bytes), import_.bytes)


def _merged(
    path: Path, layout: Layout, columns: Columns, limits: Limits, *, name: str
) -> tuple[Path, Layout, Columns]:
    """Make one row of all ratings of an id; a restart makes the same file again."""
    merged = _merged_path(path)
    merge_annotations(path, None, columns=columns, layout=layout, out=merged, limits=limits, name=name)
    return merged, Layout("jsonl", "utf-8"), MERGED


def _merged_path(upload: Path) -> Path:
    return upload.parent / f"{upload.name}.merged"


@step(Import, "import.publish")
def publish(context: Context, import_: Import) -> None:
    """Apply an update's changes and show the rows; from the first change on nobody can cancel any more.

    A worker that dies leaves the rest to the next one; a failure takes back what was applied.
    """
    with context.database.read() as session:
        publishing.check_has_rows(session, import_)
        sums = publishing.sums_of_new_rows(session, import_)
        missing = publishing.count_missing(session, import_)
        actor = runs.requester(session, import_)
    with context.database.write() as session:
        publishing.freeze_before(session, import_, actor=actor)
    for work in (publishing.apply_changes, metadata.backfill, publishing.list_unscored):
        pace, more = Pace(context, CHUNK, gives_way=True), True
        while more:
            with pace.writing() as session:
                more = bool(work(session, import_))
    with context.database.write() as session:
        publishing.publish(session, import_, sums, missing, actor=actor)
    _delete(Path(import_.path))


def _delete(upload: Path) -> None:
    for path in (upload, _merged_path(upload)):
        with suppress(OSError):  # a file that cannot be deleted is no reason to fail a finished import
            path.unlink(missing_ok=True)
