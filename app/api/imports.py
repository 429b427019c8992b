"""Imports: a file in one request, or as a draft that is looked at and confirmed."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.actor import Actor, Role
from app.api.answers import CurrentPage, Listing, PageQuery, accepted, answer, listing, with_more
from app.api.deps import CurrentActor, router_of
from app.api.files import FilePreviewOut, ImportIn, ImportOut, LayoutIn, RejectedOut
from app.api.once import once, refuse_to_repeat, with_body
from app.api.streams import NDJSON, kind_of
from app.db import Database
from app.files.rows import Columns, Layout, Limits
from app.models.columns import RunState
from app.models.imports import Import
from app.services import datasets
from app.services.importing import imports
from app.services.importing.imports import ImportChoices
from app.services.importing.limits import limits_of
from app.services.operation import runs
from app.web import uploads
from app.web.deps import CurrentDatabase, CurrentSettings, Id, ReadSession, WriteSession
from app.web.render import url
from app.web.uploads import Upload

router = router_of("imports")

_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "contentMediaType": "application/octet-stream"}
                    },
                },
                "example": {"file": "id,text,label\nr1,It flickers,fault\n"},
            },
            NDJSON: {
                "schema": {"type": "string", "description": "One row a line, as a JSON object."},
                "example": '{"id": "r1", "text": "It flickers", "label": "fault"}\n',
            },
        },
    }
}


@router.post(
    "/imports",
    name="api.imports.create",
    summary="Import a file",
    status_code=202,
    response_model=ImportOut,
    responses={201: {"model": ImportOut, "description": "A draft that waits to be confirmed"}},
    openapi_extra=_FORM,
)
async def create(
    request: Request,
    query: Annotated[ImportIn, Query()],
    actor: CurrentActor,
    settings: CurrentSettings,
    database: CurrentDatabase,
) -> Response:
    """Send a file as the part `file` of a multipart form, or rows as they come, one JSON object a line.

    Needs the role lead. Lines of `application/x-ndjson` are stored as they arrive, however many there are.

    With `dataset` it is imported at once (202): columns that are not named are guessed, and all of its usable
    rows come in or none. Without `dataset` it is kept as a draft (201), to be looked at and confirmed.
    """
    actor.require_somewhere(Role.LEAD)
    if kind_of(request) == NDJSON:
        stored = await uploads.receive_raw(
            request, settings.uploads, file_name="rows.jsonl", max_bytes=settings.max_file_bytes
        )
    else:
        stored = await uploads.receive(request, settings.uploads, max_bytes=settings.max_file_bytes)
    with_body(request, f"{stored.file_name} {stored.sha256}")
    return await run_in_threadpool(
        _keep, request, database, stored, query, limits=limits_of(settings), actor=actor
    )


def _keep(
    request: Request, database: Database, stored: Upload, wanted: ImportIn, *, limits: Limits, actor: Actor
) -> Response:
    with ExitStack() as if_refused:
        if_refused.callback(stored.path.unlink, missing_ok=True)
        name = stored.file_name
        seen = imports.look(stored.path, file_name=name, limits=limits, layout=wanted.layout(), actor=actor)
        choices = _choices(wanted, wanted.dataset, seen.layout, seen.proposed) if wanted.dataset else None
        if choices is not None:
            imports.check(stored.path, choices, file_name=name, limits=limits, actor=actor)
        with database.write() as session:

            def add() -> Response:
                kept = imports.add_upload(
                    session,
                    seen,
                    path=stored.path,
                    file_name=name,
                    size=stored.size,
                    sha256=stored.sha256,
                    actor=actor,
                )
                if choices is not None:
                    kept = imports.confirm(session, kept.id, choices=choices, actor=actor)
                return _kept_answer(request, kept)

            response = once(request, session, add)
        if_refused.pop_all()
    return response


def _kept_answer(request: Request, kept: Import) -> Response:
    content = ImportOut.model_validate(kept)
    if kept.state is not RunState.DRAFT:
        return accepted(request, content, "api.imports.get", import_id=kept.id)
    there = url(request, "api.imports.get", import_id=kept.id)
    return answer(content, status_code=201, headers={"Location": there})


def _choices(wanted: ImportIn, name: str, layout: Layout, guess: Columns) -> ImportChoices:
    return ImportChoices(
        dataset_name=name,
        layout=wanted.layout(layout),
        columns=wanted.columns(guess),
        split=wanted.split,
        update=wanted.update,
        allow_unlabelled=wanted.allow_unlabelled,
    )


@router.get(
    "/imports/{import_id:int}", name="api.imports.get", summary="Show an import", response_model=ImportOut
)
def get(import_id: Id, session: ReadSession) -> Response:
    """Show how a file is read, how far it is, and what became of its rows."""
    return answer(ImportOut.model_validate(imports.get(session, import_id)))


@router.get(
    "/datasets/{dataset_id:int}/imports",
    name="api.imports.list",
    summary="List imports",
    response_model=Listing[ImportOut],
)
def list_imports(request: Request, dataset_id: Id, session: ReadSession, page: CurrentPage) -> Response:
    """List the imports of a dataset, newest first."""
    rows = imports.list_imports(
        session, datasets.get(session, dataset_id).id, before_id=page.cursor, limit=page.limit + 1
    )
    found, more = with_more(rows, page.limit)
    items = [ImportOut.model_validate(import_) for import_ in found]
    return listing(request, items, cursor=found[-1].id if more else None)


@router.get(
    "/imports/{import_id:int}/preview",
    name="api.imports.preview",
    summary="Preview a draft",
    response_model=FilePreviewOut,
)
def preview(
    import_id: Id, session: ReadSession, settings: CurrentSettings, query: Annotated[LayoutIn, Query()]
) -> Response:
    """Show a draft's first rows and the columns it seems to have, read as the query says."""
    stored = Layout.from_json(imports.get(session, import_id).layout)
    layout = query.layout(stored) if query.model_fields_set else None
    seen = imports.preview(session, import_id, layout=layout, columns=None, limits=limits_of(settings))
    return answer(FilePreviewOut.model_validate(seen))


@router.post(
    "/imports/{import_id:int}/confirm",
    name="api.imports.confirm",
    summary="Confirm a draft",
    status_code=202,
    response_model=ImportOut,
)
def confirm(
    request: Request,
    import_id: Id,
    body: ImportIn,
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
) -> Response:
    """Turn a draft into a job. A dataset of a new name shows once the file is in. Needs the role lead."""
    with database.read() as session:
        refuse_to_repeat(request, session)
        draft = imports.get_draft(session, import_id)
    name = body.dataset or draft.dataset_name
    choices = _choices(body, name, Layout.from_json(draft.layout), Columns.from_json(draft.columns))
    path, limits = Path(draft.path), limits_of(settings)
    imports.check(path, choices, file_name=draft.file_name, limits=limits, actor=actor)
    with database.write() as session:

        def confirm() -> Response:
            kept = imports.confirm(session, import_id, choices=choices, actor=actor)
            return accepted(request, ImportOut.model_validate(kept), "api.imports.get", import_id=import_id)

        return once(request, session, confirm)


@router.delete(
    "/imports/{import_id:int}",
    name="api.imports.discard",
    summary="Discard a draft",
    status_code=204,
    response_class=Response,
)
def discard(request: Request, import_id: Id, actor: CurrentActor, database: CurrentDatabase) -> Response:
    """Forget a draft, and its file. Needs the role lead; 409 once it was confirmed."""
    discarded: list[Path] = []
    with database.write() as session:

        def discard() -> Response:
            discarded.append(imports.discard(session, import_id, actor=actor))
            return Response(status_code=204)

        response = once(request, session, discard)
    for path in discarded:
        path.unlink(missing_ok=True)  # after the commit: a draft that stays needs its file
    return response


@router.post(
    "/imports/{import_id:int}/cancel",
    name="api.imports.cancel",
    summary="Cancel an import",
    status_code=202,
    response_model=ImportOut,
)
def cancel(
    request: Request, import_id: Id, actor: CurrentActor, session: WriteSession, settings: CurrentSettings
) -> Response:
    """Ask an import to stop; nothing of it is kept. Needs the role lead; 409 once it has ended."""
    kept = imports.get(session, import_id)
    runs.request_cancel(session, kept, actor=actor, stale_seconds=settings.worker_stale_seconds)
    return accepted(request, ImportOut.model_validate(kept), "api.imports.get", import_id=import_id)


@router.get(
    "/imports/{import_id:int}/rejected",
    name="api.imports.rejected",
    summary="List rejected rows",
    response_model=Listing[RejectedOut],
)
def list_rejected(
    request: Request, import_id: Id, session: ReadSession, query: Annotated[PageQuery, Query()]
) -> Response:
    """List the rows that could not be used, in the order of their lines."""
    import_ = imports.get(session, import_id)
    found, more = with_more(
        imports.list_rejected(session, import_.id, after_line=query.cursor or 0, limit=query.limit + 1),
        query.limit,
    )
    rows = [RejectedOut.model_validate(row) for row in found]
    return listing(request, rows, cursor=found[-1].line if more else None)
