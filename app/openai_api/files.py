"""Files: sent, listed, looked at, taken back."""

import secrets
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from app.actor import Actor, Role
from app.api.answers import AsciiJSONResponse
from app.db import Database
from app.errors import NotFound
from app.openai_api.deps import After, CurrentActor, with_more
from app.openai_api.errors import Refused
from app.openai_api.shapes import file_of, page_of
from app.services.tuning import training_files
from app.services.tuning.training_files import Arrived
from app.web import uploads
from app.web.deps import CurrentDatabase, CurrentSettings, ReadSession, WriteSession

router = APIRouter(prefix="/files")


@router.post("")
async def create(
    request: Request, actor: CurrentActor, settings: CurrentSettings, database: CurrentDatabase
) -> Response:
    """Take a file in."""
    actor.require(Role.LEAD)
    folder = settings.training / "files"
    form = await uploads.receive_form(request, folder, files={"file"}, max_bytes=settings.max_file_bytes)
    if "file" not in form.files:
        raise Refused("There is no part `file` in the form.", param="file", code="missing_required_parameter")
    sent = form.files["file"]
    place = sent.path.rename(sent.path.with_name(f"{secrets.token_hex(16)}.jsonl"))
    arrived = Arrived(place, sent.file_name, sent.size, sent.sha256)
    kept = await run_in_threadpool(_keep, database, arrived, form.fields.get("purpose", ""), actor)
    return AsciiJSONResponse(kept)


def _keep(database: Database, arrived: Arrived, purpose: str, actor: Actor) -> dict[str, Any]:
    try:
        training_files.check(arrived, purpose)
        with database.write() as session:
            return file_of(training_files.keep(session, arrived, purpose, actor=actor))
    except BaseException:
        arrived.path.unlink(missing_ok=True)
        raise


@router.get("")
def list_files(
    session: ReadSession,
    purpose: Annotated[str | None, Query(max_length=40)] = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
) -> Response:
    """List files."""
    found = training_files.list_files(
        session, purpose=purpose, after=after, limit=limit, newest_first=order == "desc"
    )
    shown, has_more = with_more(found, limit)
    return AsciiJSONResponse(page_of([file_of(one) for one in shown], has_more=has_more))


@router.get("/{file_id}")
def get(file_id: str, session: ReadSession) -> Response:
    """Show a file."""
    return AsciiJSONResponse(file_of(training_files.get(session, file_id)))


@router.get("/{file_id}/content")
def content(file_id: str, session: ReadSession) -> Response:
    """Give a file's bytes back."""
    path = Path(training_files.get(session, file_id).path)
    if not path.is_file():
        raise NotFound(f"The content of {file_id} is not there any more.")
    return FileResponse(path, media_type="application/octet-stream", filename=f"{file_id}.jsonl")


@router.delete("/{file_id}")
def delete(file_id: str, actor: CurrentActor, session: WriteSession) -> Response:
    """Delete a file; jobs that read it already go on."""
    path = training_files.delete(session, file_id, actor=actor)
    gone = BackgroundTask(path.unlink, missing_ok=True)  # once that is committed
    return AsciiJSONResponse({"id": file_id, "object": "file", "deleted": True}, background=gone)
