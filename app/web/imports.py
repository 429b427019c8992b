"""Imports: a file comes in, a person says what is in it, the report says what became of it."""

import csv
import io
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.actor import Actor, Role
from app.db import Database
from app.errors import InvalidInput, TooLarge
from app.files.guess import names_test_rows, subject_of
from app.files.origins import ORIGINS
from app.files.rows import ENCODINGS, FORMATS, SINGLE_ROLES, Columns, Layout, Limits, Preview
from app.languages import _
from app.models.columns import RunState, Split
from app.models.imports import Import
from app.services import datasets
from app.services.importing import adopting, imports
from app.services.importing.imports import ImportChoices
from app.services.operation import runs
from app.web import uploads
from app.web.deps import (
    ChosenId,
    CurrentActor,
    CurrentDatabase,
    CurrentLimits,
    CurrentSettings,
    Id,
    ReadSession,
    WriteSession,
)
from app.web.render import form_again, go_to, html, target, url
from app.web.streamed import SentAsRead
from app.web.uploads import Upload

router = APIRouter()

ROLES = (*SINGLE_ROLES, "metadata", "filter", "")
SHOWN_REJECTED = 100
NO_QUOTES = "none"


class ConfirmForm(BaseModel):
    """What a person confirms; `column` and `role` are one entry per column, in the file's order."""

    dataset_name: str = ""
    format: str = ""
    encoding: str = ""
    delimiter: str = ""
    quotechar: str = ""
    sheet: str = ""
    split: Split = Split.TRAIN
    update: bool = False
    allow_unlabelled: bool = False
    column: list[str] = []
    role: list[str] = []
    origin: str = ""
    dataset: ChosenId = None

    def layout(self) -> Layout:
        """Return how to read the file; what was not chosen is detected."""
        quotechar = "" if self.quotechar == NO_QUOTES else self.quotechar or None
        return Layout(
            format=self.format,
            encoding=self.encoding or None,
            delimiter=self.delimiter or None,
            quotechar=quotechar,
            sheet=self.sheet or None,
        )

    def columns(self) -> Columns:
        """Return which column is what, or say that a role was given twice."""
        if len(self.column) != len(self.role):
            raise InvalidInput(_("Every column needs a role: show the file again."))
        chosen = list(zip(self.column, self.role, strict=True))
        single: dict[str, str | None] = {}
        for role in SINGLE_ROLES:
            names = [name for name, of in chosen if of == role]
            if len(names) > 1:
                said = role.replace("_", " ")
                raise InvalidInput(
                    _(
                        "Only one column can be the %(said)s: %(names)s are.",
                        said=said,
                        names=" and ".join(names),
                    )
                )
            single[role] = names[0] if names else None
        metadata = tuple(name for name, role in chosen if role in {"metadata", "filter"})
        filterable = tuple(name for name, role in chosen if role == "filter")
        origin = self.origin if self.origin in ORIGINS else None
        return Columns(**single, metadata=metadata, filterable=filterable, origin=origin)

    def choices(self) -> ImportChoices:
        """Return what was chosen, or say what makes no sense in it."""
        return ImportChoices(
            dataset_name=self.dataset_name,
            layout=self.layout(),
            columns=self.columns(),
            split=self.split,
            update=self.update,
            allow_unlabelled=self.allow_unlabelled,
        )


@router.get("/datasets/new", name="imports.new")
def new(
    request: Request,
    session: ReadSession,
    actor: CurrentActor,
    settings: CurrentSettings,
    dataset: Annotated[ChosenId, Query()] = None,
    split: Annotated[Split | None, Query()] = None,
) -> Response:
    """Ask for a file, for a new dataset or one that is there."""
    into = datasets.get(session, dataset) if dataset else None
    actor.require(Role.LEAD, into)
    return html(request, "imports/new.html", dataset=into, split=split, max_bytes=settings.max_file_bytes)


@router.post("/imports", name="imports.upload")
async def upload(
    request: Request,
    actor: CurrentActor,
    settings: CurrentSettings,
    database: CurrentDatabase,
    limits: CurrentLimits,
    dataset: Annotated[ChosenId, Query()] = None,
    split: Annotated[Split | None, Query()] = None,
) -> Response:
    """Take a file in, with no transaction open while it comes."""
    actor.require_somewhere(Role.LEAD)
    stored = await uploads.receive(request, settings.uploads, max_bytes=settings.max_file_bytes)
    draft = await run_in_threadpool(_keep, database, stored, limits=limits, actor=actor)
    wanted = {"dataset": dataset, "split": split or _split_of(stored.file_name)}
    return go_to(request, url(request, "imports.show", wanted, import_id=draft.id))


def _split_of(file_name: str) -> Split | None:
    """Return the split that a file's name proposes, if it proposes another than the usual one."""
    return Split.TEST if names_test_rows(file_name) else None


def _keep(database: Database, stored: Upload, *, limits: Limits, actor: Actor) -> Import:
    try:
        seen = imports.look(stored.path, file_name=stored.file_name, limits=limits, actor=actor)
        with database.write() as session:
            return imports.add_upload(
                session,
                seen,
                path=stored.path,
                file_name=stored.file_name,
                size=stored.size,
                sha256=stored.sha256,
                actor=actor,
            )
    except BaseException:
        stored.path.unlink(missing_ok=True)
        raise


@router.get("/imports/{import_id:int}", name="imports.show")
def show(
    request: Request,
    import_id: Id,
    session: ReadSession,
    settings: CurrentSettings,
    limits: CurrentLimits,
    chosen: Annotated[ConfirmForm, Query()],
) -> Response:
    """Show the form to confirm, the progress or the report, whichever the import has come to."""
    import_ = imports.get(session, import_id)
    if import_.state is RunState.DRAFT:
        template = "imports/_confirm.html" if target(request) == "confirm" else "imports/confirm.html"
        into = datasets.get(session, chosen.dataset).name if chosen.dataset else _proposed(session, import_)
        form = chosen if chosen.format else chosen.model_copy(update={"dataset_name": into})
        return html(request, template, **_confirm_values(session, import_, form, limits))
    done = import_.state is RunState.DONE and import_.dataset_id is not None
    alike = {"dataset": import_.dataset_id, "split": import_.split.value}
    return html(
        request,
        "imports/show.html",
        import_=import_,
        dataset=datasets.get(session, import_.dataset_id) if done and import_.dataset_id else None,
        another=url(request, "imports.new", alike),
        can_repeat=imports.can_repeat(import_),
        batch=adopting.batch_of(session, import_) if done else None,
        can_adopt=adopting.is_waiting(session, import_),
        rejected=imports.list_rejected(session, import_id, limit=SHOWN_REJECTED),
        worker_alive=runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds),
    )


def _proposed(session: Session, import_: Import) -> str:
    """Return the name of the dataset that a file of test rows is for; else the name of the file.

    That is the one the file is called after, or, for `test.csv` and its like, the newest without test rows.
    """
    if not names_test_rows(import_.file_name):
        return import_.dataset_name
    about = subject_of(import_.file_name)
    for card in datasets.list_datasets(session):
        name = card.dataset.name
        if subject_of(name) == about if about else not card.counts.test:
            return name
    return import_.dataset_name


def _confirm_values(session: Session, import_: Import, form: ConfirmForm, limits: Limits) -> dict[str, Any]:
    seen, error = _preview(session, import_, form, limits)
    names = [card.dataset.name for card in datasets.list_datasets(session)]
    return {
        "import_": import_,
        "form": form,
        "preview": seen,
        "roles": _roles(seen, form),
        "all_roles": ROLES,
        "formats": FORMATS,
        "encodings": list(dict.fromkeys([*ENCODINGS, seen.layout.encoding or "utf-8"])),
        "delimiters": _delimiters(seen.layout.delimiter),
        "dataset_names": names,
        "no_quotes": NO_QUOTES,
        "origin": seen.recognised.origin if seen.recognised else "",
        "error": error,
    }


def _preview(session: Session, import_: Import, form: ConfirmForm, limits: Limits) -> tuple[Preview, str]:
    """Return the file as the form reads it; where it cannot be read so, why, and no rows of another way."""
    if not form.format:
        seen = imports.preview(session, import_.id, layout=None, columns=None, limits=limits)
        return replace(seen, guess=Columns.from_json(import_.columns)), ""
    layout = form.layout()
    try:
        seen = imports.preview(session, import_.id, layout=layout, columns=None, limits=limits)
        return replace(seen, guess=seen.proposed), ""
    except (InvalidInput, TooLarge) as error:
        return Preview(layout, columns=(), guess=Columns(None, None), rows=(), rejected=(), warnings=()), str(
            error
        )


def _roles(seen: Preview, form: ConfirmForm) -> list[str]:
    """Return a role for each column: what the person chose, while the columns are still the same."""
    if list(seen.columns) == form.column and len(form.role) == len(form.column):
        return form.role
    guess = seen.guess
    named = {getattr(guess, role): role for role in SINGLE_ROLES if getattr(guess, role) is not None}
    named |= dict.fromkeys(guess.metadata, "metadata") | dict.fromkeys(guess.filterable, "filter")
    return [named.get(name, "") for name in seen.columns]


def _delimiters(found: str | None) -> list[tuple[str, str]]:
    known = {",": "comma ,", ";": "semicolon ;", "\t": "tab", "|": "bar |"}
    if found and found not in known:
        known[found] = found
    return list(known.items())


@router.post("/imports/{import_id:int}", name="imports.confirm")
def confirm(
    request: Request,
    import_id: Id,
    form: Annotated[ConfirmForm, Form()],
    actor: CurrentActor,
    database: CurrentDatabase,
    limits: CurrentLimits,
) -> Response:
    """Turn the draft into a job, or show the form again with what is wrong with it."""
    with database.read() as session:
        draft = imports.get_draft(session, import_id)
    try:
        choices = form.choices()
        # With no transaction open: looking at a file may take a while.
        imports.check(Path(draft.path), choices, file_name=draft.file_name, limits=limits, actor=actor)
        with database.write() as session:
            imports.confirm(session, import_id, choices=choices, actor=actor)
    except InvalidInput as error:
        with database.read() as session:
            values = _confirm_values(session, draft, form, limits)
        values["error"] = str(error)
        return form_again(
            request, "imports/confirm.html", "imports/_confirm.html", target="#confirm", **values
        )
    return go_to(request, url(request, "imports.show", import_id=import_id))


@router.post("/imports/{import_id:int}/repeat", name="imports.repeat")
def repeat(request: Request, import_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Show the form of a failed import again, with the leave to update rows that exist."""
    draft = imports.repeat(session, import_id, actor=actor)
    choices = {"split": draft.split.value, "update": "true"}
    if draft.allow_unlabelled:
        choices["allow_unlabelled"] = "true"
    return go_to(request, url(request, "imports.show", choices, import_id=draft.id))


@router.post("/imports/{import_id:int}/discard", name="imports.discard")
def discard(request: Request, import_id: Id, actor: CurrentActor, database: CurrentDatabase) -> Response:
    """Forget a draft, and its file once that is committed."""
    with database.write() as session:
        path = imports.discard(session, import_id, actor=actor)
    path.unlink(missing_ok=True)
    return go_to(request, url(request, "imports.new"), flash=_("The file was discarded."))


@router.post("/imports/{import_id:int}/decisions", name="imports.adopt")
def adopt(request: Request, import_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Take over what the file says was decided, where that could not begin at once."""
    batch = adopting.request(session, import_id, actor=actor)
    return go_to(request, url(request, "batches.show", dataset_id=batch.dataset_id, batch_id=batch.id))


@router.get("/imports/{import_id:int}/rejected.csv", name="imports.rejected")
def rejected(import_id: Id, session: ReadSession, database: CurrentDatabase) -> Response:
    """Give the unusable rows as a file."""
    imports.get(session, import_id)
    return SentAsRead(
        _rejected_lines(database, import_id),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="rejected-{import_id}.csv"'},
    )


def _rejected_lines(database: Database, import_id: int) -> Generator[str, None, None]:
    yield "line,reason,raw\r\n"
    after = 0
    with database.read(snapshot=True) as session:
        while found := imports.list_rejected(session, import_id, after_line=after, limit=1000):
            out = io.StringIO()
            writer = csv.writer(out)
            for row in found:
                raw = row.raw.encode("utf-8", "backslashreplace").decode()
                # A spreadsheet would run what begins like a formula.
                writer.writerow(
                    [row.line, row.reason, f"'{raw}" if raw.startswith(("=", "+", "-", "@")) else raw]
                )
            yield out.getvalue()
            after = found[-1].line
